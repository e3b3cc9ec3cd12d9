import { randomBytes } from "node:crypto";
import { TandemError } from "../base/errors.ts";
import { parseNodeUrl } from "../config/url.ts";
import { connect } from "../db/connect.ts";
import { quoteIdent, quoteLiteral } from "../db/quote.ts";
import { findBinaries } from "../embedded/binaries.ts";
import { startServer } from "../embedded/server.ts";
import type { Manifest } from "./manifest.ts";

/** A server on which databases are made to be thrown away. */
export interface Scratch extends AsyncDisposable {
  /** Makes an empty database with the encoding of the backup; returns its URL. */
  makeDatabase(): Promise<string>;
}

const newestMajor = 20;
const settings = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_wal_size: "2GB",
  autovacuum: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
};

/**
 * A server for trying a backup: the one whose URL is given, else one of our own with the backup's major version, or the
 * next one there is. Disposing of it drops the databases and ends our own server.
 */
export async function openScratch(
  { server, roles }: Pick<Manifest, "server" | "roles">,
  url: string | null,
  signal?: AbortSignal,
): Promise<Scratch> {
  if (url !== null) return new ScratchServer(url, server.encoding, signal, async () => {});
  const wanted = Math.floor(server.version / 10000);
  const majors = Array.from({ length: newestMajor - wanted + 1 }, (_, i) => wanted + i);
  const major = majors.find((one) => findBinaries(one));
  if (major === undefined) {
    throw new TandemError("no_scratch", `there are no programs of a PostgreSQL ${wanted} server on this machine`);
  }
  const own = await startServer({ major, settings });
  const scratch = new ScratchServer(own.url(), server.encoding, signal, () => own.stop("immediate"));
  try {
    await scratch.makeRoles(roles);
    return scratch;
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

class ScratchServer implements Scratch {
  readonly #url: string;
  readonly #encoding: string;
  readonly #signal: AbortSignal | undefined;
  readonly #stop: () => Promise<void>;
  readonly #databases: string[] = [];

  constructor(url: string, encoding: string, signal: AbortSignal | undefined, stop: () => Promise<void>) {
    this.#url = url;
    this.#encoding = encoding;
    this.#signal = signal;
    this.#stop = stop;
  }

  /** Policies name roles, and cannot be restored without them. */
  async makeRoles(names: readonly string[]): Promise<void> {
    const created = names.map(
      (name) =>
        `if not exists (select from pg_roles where rolname = ${quoteLiteral(name)}) then create role ${quoteIdent(name)}; end if;`,
    );
    await this.#exec(`do $roles$ begin ${created.join("\n")} end $roles$`);
  }

  async makeDatabase(): Promise<string> {
    const name = `tandem_scratch_${randomBytes(6).toString("hex")}`;
    // Every encoding goes with locale C, and order plays no part in whether content is equal.
    await this.#exec(
      `create database ${name} template template0 encoding ${quoteLiteral(this.#encoding)} lc_collate 'C' lc_ctype 'C'`,
    );
    this.#databases.push(name);
    return withDatabase(this.#url, name);
  }

  async #exec(sql: string, signal = this.#signal): Promise<void> {
    await using connection = await connect({ name: "scratch", url: this.#url }, "scratch", { signal });
    await connection.exec(sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const name of this.#databases) await this.#exec(`drop database if exists ${name} with (force)`, undefined);
    } finally {
      await this.#stop();
    }
  }
}

/** The same server, another database; the URL may name it in its path or by `dbname`. */
export function withDatabase(url: string, database: string): string {
  const changed = url.replace(
    /^([a-z]+:\/\/[^/?#]*)(?:\/[^?#]*)?/i,
    (_, server: string) => `${server}/${encodeURIComponent(database)}`,
  );
  const plain = changed.replace(/([?&])dbname=[^&#]*&?/gi, "$1").replace(/[?&]$/, "");
  if (parseNodeUrl(plain).database !== database) {
    throw new TandemError("config_invalid", "the URL of the scratch server cannot be given another database");
  }
  return plain;
}
