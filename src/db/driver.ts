import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type pg from "pg";

/**
 * The parts of pg 8.23 that its types do not show. All use of them is in this file, so that a new version of the
 * driver is checked in one place.
 */
interface Internals {
  readonly connection: EventEmitter & { readonly stream: Socket };
  readonly connectionParameters: { options?: string | undefined };
  readonly processID: number | null;
}

function internals(client: pg.Client): Internals {
  return client as unknown as Internals;
}

/** The socket in use; it is another object once TLS has begun. */
export function socketOf(client: pg.Client): Socket {
  return internals(client).connection.stream;
}

/** The socket as TLS, or null when the connection is not encrypted. */
export function tlsOf(client: pg.Client): TLSSocket | null {
  const socket = socketOf(client);
  return socket instanceof TLSSocket ? socket : null;
}

/** The process id of the backend; behind a pooler it may be any number. */
export function processIdOf(client: pg.Client): number {
  return internals(client).processID ?? 0;
}

const closeDeadlineMs = 2_000;

/** Says goodbye to the server; a silent network is waited for no longer than two seconds. Never throws. */
export async function endClient(client: pg.Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closeDeadlineMs);
  });
  await Promise.race([client.end().catch(() => {}), late]);
  clearTimeout(timer);
  socketOf(client).destroy();
}

/** Sets the startup options, also to none: left alone, the driver takes PGOPTIONS from the environment. */
export function setOptions(client: pg.Client, options: string | null): void {
  internals(client).connectionParameters.options = options ?? undefined;
}

/** What was seen of the login, for channel_binding=require. */
export interface LoginWatch {
  /** The server offers to bind the login to the TLS connection. */
  offersBinding: boolean;
  /** The server has proved that it knows the password, over that binding if it was offered. */
  proved: boolean;
}

/** Watches the login; to be called before `client.connect()`, so that it hears before the driver answers. */
export function watchLogin(client: pg.Client): LoginWatch {
  const watch: LoginWatch = { offersBinding: false, proved: false };
  const { connection } = internals(client);
  connection.prependListener("authenticationSASL", (message: { mechanisms: string[] }) => {
    watch.offersBinding = message.mechanisms.includes("SCRAM-SHA-256-PLUS");
  });
  connection.on("authenticationSASLFinal", () => {
    watch.proved = true;
  });
  return watch;
}
