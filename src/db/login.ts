import type { TLSSocket } from "node:tls";
import pg from "pg";
import { TandemError } from "../base/errors.ts";
import type { ConnectionTarget } from "../config/url.ts";
import type { Encryption } from "./connection.ts";
import { type LoginWatch, setOptions, socketOf, tlsOf, watchLogin } from "./driver.ts";
import type { TlsAttempt } from "./tls.ts";

/** A way to end an attempt from outside: its time is up, or nobody wants it any more. */
export interface Abort {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A session that has logged in. */
export interface Session {
  readonly client: pg.Client;
  readonly encryption: Encryption | null;
}

function unbound(reason: string): TandemError {
  return new TandemError("tls_failed", `channel_binding=require, but ${reason}`, {
    hint: "Use sslmode=require or more, and a role whose password is stored as scram-sha-256; else take channel_binding=require out of the URL.",
  });
}

function stopped(signal: AbortSignal | undefined): TandemError {
  return new TandemError("stopped", "stopped while connecting", { cause: signal?.reason });
}

function makeClient(target: ConnectionTarget, attempt: TlsAttempt, purpose: string) {
  const bound = attempt !== false && target.channelBinding !== "disable";
  const client = new pg.Client({
    host: target.hostAddress ?? target.host,
    port: target.port,
    database: target.database,
    user: target.user,
    ssl: attempt,
    sslnegotiation: attempt === false ? "postgres" : target.ssl.negotiation,
    enableChannelBinding: bound,
    application_name: `tandem/${purpose}`,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    types: { getTypeParser: (() => (value: unknown) => value) as typeof pg.types.getTypeParser },
    // A function, for without one the driver takes PGPASSWORD and ~/.pgpass of whoever runs us. It is called for
    // every kind of password login before anything secret is sent: the place to refuse.
    password: () => {
      if (target.channelBinding === "require" && !(bound && watch.offersBinding)) {
        throw unbound(bound ? "the server does not offer it" : "the connection is not encrypted");
      }
      return target.password ?? "";
    },
  });
  const watch = watchLogin(client);
  setOptions(client, target.options);
  return { client, watch };
}

function encryptionOf(socket: TLSSocket | null, target: ConnectionTarget, watch: LoginWatch): Encryption | null {
  if (!socket) return null;
  const checked = target.ssl.mode === "verify-full" ? "full" : "ca";
  return {
    protocol: socket.getProtocol() ?? "unknown",
    verified: socket.authorized ? checked : "no",
    channelBinding: target.channelBinding !== "disable" && watch.offersBinding && watch.proved,
  };
}

/**
 * Makes one attempt to log in and to run `first`, the message that opens the session. The limit holds for both:
 * a pooler accepts a login at once and lets the first statement wait for a server.
 */
export async function logIn<T>(
  target: ConnectionTarget,
  attempt: TlsAttempt,
  options: Abort & { readonly purpose: string; readonly first: (client: pg.Client) => Promise<T> },
): Promise<Session & { readonly answer: T }> {
  const { timeoutMs, signal } = options;
  if (signal?.aborted) throw stopped(signal);
  const { client, watch } = makeClient(target, attempt, options.purpose);
  // A socket that dies after a failed attempt has nobody else to tell.
  client.on("error", () => {});
  let ended: Error | null = null;
  const end = (error: Error) => {
    ended ??= error;
    socketOf(client).destroy(error);
  };
  const stop = () => end(stopped(signal));
  const timer = timeoutMs > 0 ? setTimeout(() => end(new Error("timeout expired")), timeoutMs) : undefined;
  signal?.addEventListener("abort", stop, { once: true });
  try {
    await client.connect();
    if (target.channelBinding === "require" && !(watch.offersBinding && watch.proved)) {
      throw unbound("the server let us in without a password");
    }
    const encryption = encryptionOf(tlsOf(client), target, watch);
    return { client, encryption, answer: await options.first(client) };
  } catch (error) {
    socketOf(client).destroy();
    throw ended ?? error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}
