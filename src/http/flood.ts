import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import type { Socket } from "node:net";
import { TandemError } from "../base/errors.ts";
import { failureOf } from "./failure.ts";

/** What the guard needs. */
export interface FloodOptions {
  /** Milliseconds that never go back. */
  readonly now: () => number;
  /** Told of each connection and request that was refused unread. */
  readonly onRefused: () => void;
}

// Of one address: far above what a page, a scrape and scripts ask for, and few enough that the links do not feel it.
const atOnce = 300;
const perSecond = 50;
const heldMs = 1_000;
// Of all connections, so that there is room for other addresses.
const mostHeld = 128;
const mostAddresses = 1_000;

/**
 * Keeps who sends more than can be answered from taking the time of the links, which run in the same thread. An address that has used up
 * its requests is answered by a text that is ready made, and cut off; its next connections are held for a second, unread: who waits
 * for answers is slowed down by that, and what who does not wait sends stays in the buffers of the network.
 */
export class Flood {
  readonly #options: FloodOptions;
  readonly #left = new Map<string, { requests: number; at: number }>();
  readonly #refused = new WeakSet<Socket>();
  #held = 0;

  constructor(options: FloodOptions) {
    this.#options = options;
  }

  /** A server whose requests and connections go through this. */
  server(options: ServerOptions, listener: RequestListener): Server {
    const server = createServer(options, (request, response) => {
      const { socket } = request;
      // What came behind a refused request: the connection ends with that one's answer.
      if (this.#refused.has(socket)) return;
      if (this.take(socket)) listener(request, response);
      else {
        this.#refused.add(socket);
        response.writeHead(429, headersOf(tooManyBody)).end(tooManyBody);
      }
    });
    // Before a parser is given to it.
    const accept = server.listeners("connection") as ((socket: Socket) => void)[];
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => {
      if (this.#of(socket).requests >= 1) for (const one of accept) one.call(server, socket);
      else this.#hold(socket);
    });
    return server;
  }

  /** Takes one request of what its address has left; false: nothing is left, and it is to be cut off. */
  take(socket: Socket): boolean {
    const left = this.#of(socket);
    if (left.requests >= 1) {
      left.requests--;
      return true;
    }
    this.#options.onRefused();
    return false;
  }

  #hold(socket: Socket): void {
    this.#options.onRefused();
    socket.on("error", () => {});
    if (this.#held >= mostHeld) {
      socket.destroy();
      return;
    }
    this.#held++;
    socket.pause();
    const over = setTimeout(() => {
      // What was sent and not read would have the network throw the answer away.
      socket.resume();
      socket.end(tooMany, () => socket.destroy());
    }, heldMs);
    socket.once("close", () => {
      clearTimeout(over);
      this.#held--;
    });
  }

  #of({ remoteAddress: address = "" }: Socket): { requests: number; at: number } {
    const now = this.#options.now();
    const known = this.#left.get(address);
    if (known) {
      known.requests = Math.min(atOnce, known.requests + ((now - known.at) * perSecond) / 1_000);
      known.at = now;
      return known;
    }
    if (this.#left.size >= mostAddresses) this.#forget(now);
    const fresh = { requests: atOnce, at: now };
    this.#left.set(address, fresh);
    return fresh;
  }

  /** An address that has been quiet long enough has all its requests again, as one that is not known; else the oldest goes. */
  #forget(now: number): void {
    for (const [address, { at }] of this.#left) {
      if (now - at >= (atOnce * 1_000) / perSecond) this.#left.delete(address);
    }
    const [oldest] = this.#left.keys();
    if (this.#left.size >= mostAddresses && oldest !== undefined) this.#left.delete(oldest);
  }
}

function headersOf(body: string): Record<string, string> {
  return {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": String(Buffer.byteLength(body)),
    "Retry-After": "1",
    Connection: "close",
  };
}

/** An answer to what no request is made of, as bytes, after which the connection ends. */
export function rawAnswer(status: string, error: TandemError): string {
  const body = JSON.stringify(failureOf(error));
  const { "Retry-After": later, ...always } = headersOf(body);
  const headers = status.startsWith("429") ? { ...always, "Retry-After": later } : always;
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status}`, ...head, "", body].join("\r\n");
}

const tooManyError = new TandemError("too_many_requests", "too many requests from this address");
const tooManyBody = JSON.stringify(failureOf(tooManyError));
const tooMany = rawAnswer("429 Too Many Requests", tooManyError);
