import { connect, createServer, type Server, type Socket } from "node:net";
import { type FrontendMessage, FrontendStream } from "./frontend-stream.ts";
import { afterTest } from "./pg.ts";

/** Faults of a network, for one connection or, on the proxy, for all of them. */
export interface Faults {
  /** Both sides see a reset. */
  cut(): void;
  /** Nothing passes either way until `resume`; what was sent is kept. */
  stall(): void;
  resume(): void;
  /** Everything takes this much longer, each way. */
  delay(ms: number): void;
  /** The server's side is gone and nobody says so: what the client sends vanishes, and no answer comes, for ever. */
  halfOpen(): void;
}

/** A TCP proxy in front of a server. Faults of the proxy itself hold for later connections too, except `cut` and `halfOpen`. */
export interface Proxy extends Faults, AsyncDisposable {
  readonly port: number;
  /** Those that are open, the oldest first. */
  readonly connections: readonly ProxyConnection[];
  /** How many connections there have been. */
  readonly accepted: number;
  /** The same URL, by way of the proxy. */
  url(original: string): string;
  /**
   * Cuts a connection at the first message whose SQL holds the comment `tandem:<step>` (or matches): `before` it
   * reaches the server, or `after` the server has it whole and the answer is not passed on. Resolves when it has cut;
   * `all` cuts the other connections too.
   */
  cutAt(step: string | RegExp, options?: { when?: "before" | "after"; all?: boolean }): Promise<void>;
  /** Forgets every `cutAt` and `holdAt` that has not been met. */
  disarm(): void;
  /**
   * Keeps the first message that holds the step from the server until `release` is called; the client waits. Resolves
   * when it is held.
   */
  holdAt(step: string | RegExp): Promise<{ release(): void }>;
  /** As a stopped server: open connections are cut, new ones refused. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

interface Trap {
  pattern: RegExp;
  when: "before" | "after" | "hold";
  sprung(connection: ProxyConnection): void;
}

/** Stands between a client and the server at `targetPort`; closed when the test is over. */
export async function startProxy(targetPort: number, targetHost = "127.0.0.1"): Promise<Proxy> {
  const proxy = new TcpProxy(targetHost, targetPort);
  await proxy.up();
  afterTest(() => proxy.close());
  return proxy;
}

class TcpProxy implements Proxy {
  readonly #host: string;
  readonly #target: number;
  readonly #open = new Set<ProxyConnection>();
  readonly #traps: Trap[] = [];
  #server: Server | undefined;
  #port = 0;
  #delayMs = 0;
  #stalled = false;
  accepted = 0;

  constructor(host: string, target: number) {
    this.#host = host;
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): ProxyConnection[] {
    return [...this.#open];
  }

  url(original: string): string {
    const changed = new URL(original);
    changed.hostname = "127.0.0.1";
    changed.port = String(this.#port);
    return changed.href;
  }

  async up(): Promise<void> {
    if (this.#server) return;
    const server = createServer({ noDelay: true }, (client) => this.#accept(client));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#server = server;
    const address = server.address();
    if (typeof address === "object" && address) this.#port = address.port;
  }

  #accept(client: Socket): void {
    this.accepted += 1;
    const server = connect({ host: this.#host, port: this.#target, noDelay: true });
    const connection = new ProxyConnection(client, server, this.#traps);
    this.#open.add(connection);
    client.once("close", () => this.#open.delete(connection));
    if (this.#delayMs) connection.delay(this.#delayMs);
    if (this.#stalled) connection.stall();
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    this.cut();
    await closed;
  }

  async close(): Promise<void> {
    await this.down();
  }

  cutAt(
    step: string | RegExp,
    { when = "before", all = false }: { when?: "before" | "after"; all?: boolean } = {},
  ): Promise<void> {
    return this.#trap(step, when, () => {
      if (all) this.cut();
    });
  }

  holdAt(step: string | RegExp): Promise<{ release(): void }> {
    return this.#trap(step, "hold", (connection) => ({ release: () => connection.letGo() }));
  }

  disarm(): void {
    this.#traps.splice(0);
  }

  #trap<T>(step: string | RegExp, when: Trap["when"], met: (connection: ProxyConnection) => T): Promise<T> {
    const pattern =
      typeof step === "string" ? new RegExp(`/\\* tandem:${escapeRegExp(step)}(?![\\w-])[^*]*\\*/`) : step;
    return new Promise((resolve) => {
      const trap: Trap = {
        pattern,
        when,
        sprung: (connection) => {
          this.#traps.splice(this.#traps.indexOf(trap), 1);
          resolve(met(connection));
        },
      };
      this.#traps.push(trap);
    });
  }

  cut(): void {
    for (const connection of this.connections) connection.cut();
  }

  stall(): void {
    this.#stalled = true;
    for (const connection of this.connections) connection.stall();
  }

  resume(): void {
    this.#stalled = false;
    for (const connection of this.connections) connection.resume();
  }

  delay(ms: number): void {
    this.#delayMs = ms;
    for (const connection of this.connections) connection.delay(ms);
  }

  halfOpen(): void {
    for (const connection of this.connections) connection.halfOpen();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** One client's connection through the proxy. */
export class ProxyConnection implements Faults {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #traps: readonly Trap[];
  readonly #messages = new FrontendStream();
  /** Chunks in order with the time they are due: client to server, and back. */
  readonly #queues: Queue[];
  /** An "after" trap that waits for the end of the message's cycle. */
  #armed: Trap | undefined;
  /** What the client has said since a message was held, that one first. */
  #held: FrontendMessage[] | undefined;
  #dead = false;

  constructor(client: Socket, server: Socket, traps: readonly Trap[]) {
    this.#client = client;
    this.#server = server;
    this.#traps = traps;
    this.#queues = [
      new Queue(client, { deliver: (chunk) => this.#toServer(chunk), end: () => this.#end(server) }),
      new Queue(server, { deliver: (chunk) => this.#toClient(chunk), end: () => this.#end(client) }),
    ];
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      // a reset of one side is a reset of the other; an orderly end comes through the queue, after what was said before
      socket.on("error", () => {
        if (!this.#dead) other.resetAndDestroy();
      });
    }
  }

  #end(socket: Socket): void {
    if (!this.#dead) socket.end();
  }

  #toServer(chunk: Buffer): void {
    if (this.#dead) return;
    for (const message of this.#messages.push(chunk)) {
      if (this.#dead) return;
      this.#forward(message);
    }
  }

  #forward(message: FrontendMessage): void {
    if (this.#held) {
      this.#held.push(message);
      return;
    }
    const { bytes, text, endsCycle } = message;
    const trap = this.#armed ? undefined : this.#traps.find(({ pattern }) => pattern.test(text));
    if (trap?.when === "hold") {
      this.#held = [message];
      trap.sprung(this);
      return;
    }
    if (trap?.when === "before") {
      this.cut();
      trap.sprung(this);
      return;
    }
    this.#server.write(bytes);
    this.#armed ??= trap;
    if (this.#armed && endsCycle) {
      const sprung = this.#armed;
      this.#abandon();
      sprung.sprung(this);
    }
  }

  /** What was held goes to the server after all, if the connection is still there. */
  letGo(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const message of held) if (!this.#dead) this.#forward(message);
  }

  #toClient(chunk: Buffer): void {
    if (!this.#dead) this.#client.write(chunk);
  }

  /** The client is reset; the server gets all that was sent to it, and only then the end. */
  #abandon(): void {
    this.#dead = true;
    this.#server.end();
    this.#server.resume();
    this.#client.resetAndDestroy();
  }

  cut(): void {
    this.#dead = true;
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  stall(): void {
    for (const queue of this.#queues) queue.hold();
  }

  resume(): void {
    for (const queue of this.#queues) queue.release();
  }

  delay(ms: number): void {
    for (const queue of this.#queues) queue.delayMs = ms;
  }

  halfOpen(): void {
    this.#dead = true;
    this.#server.resetAndDestroy();
  }
}

interface Sink {
  deliver(chunk: Buffer): void;
  end(): void;
}

/** Passes the chunks of a socket on, in order, when they are due. */
class Queue {
  delayMs = 0;
  readonly #source: Socket;
  readonly #sink: Sink;
  /** An undefined chunk is the orderly end. */
  readonly #chunks: { chunk: Buffer | undefined; due: number }[] = [];
  #held = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, sink: Sink) {
    this.#source = source;
    this.#sink = sink;
    source.on("data", (chunk: Buffer) => this.#push(chunk));
    source.once("end", () => this.#push(undefined));
  }

  #push(chunk: Buffer | undefined): void {
    this.#chunks.push({ chunk, due: Date.now() + this.delayMs });
    this.#flush();
  }

  hold(): void {
    this.#held = true;
    // the sender shall feel it, as on a network whose buffers are full
    this.#source.pause();
  }

  release(): void {
    this.#held = false;
    this.#source.resume();
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    while (!this.#held) {
      const first = this.#chunks[0];
      if (!first) return;
      const wait = first.due - Date.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#flush(), wait);
        return;
      }
      this.#chunks.shift();
      if (first.chunk) this.#sink.deliver(first.chunk);
      else this.#sink.end();
    }
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
