import { execFileSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EmbeddedServer } from "../../src/embedded/server.ts";
import { serverUser } from "../../src/embedded/user.ts";
import { sql } from "./client.ts";
import { skipBecause } from "./components.ts";

/** Where the database `postgres` of a server lies; the rest of the server, its log of writes too, always has room. */
export interface SmallDisk extends AsyncDisposable {
  /** From now on PostgreSQL answers "No space left on device" (53100) where it needs more. */
  fill(): Promise<void>;
  free(): Promise<void>;
}

/** `initdbArgs` of a server that is to get a small disk: its log of writes must fit into the files that `LimitedFiles` allows. */
export const smallDiskArgs = ["--wal-segsize=1"];

/**
 * Gives the server a small disk: a file system of its own in memory, where this process may mount one. Elsewhere the size of the server's files
 * is limited, so that PostgreSQL 13 to 15, which meet a write cut short, say the same; newer ones do not, and the test is skipped.
 */
export async function smallDisk(server: EmbeddedServer): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), "tandem-disk-"));
  await chmod(folder, 0o755);
  const { uid = process.getuid?.() ?? 0, gid = process.getgid?.() ?? 0 } = serverUser() ?? {};
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=64m,mode=0700,uid=${uid},gid=${gid}`, "tandem-test", folder]);
  } catch {
    await rm(folder, { recursive: true });
    if (server.major > 15) skipBecause("no file system can be mounted here");
    return new LimitedFiles(server);
  }
  const other = server.url("template1");
  await sql(other, `create tablespace small location '${folder}'`);
  await sql(other, "alter database postgres set tablespace small");
  return new MountedDisk(folder);
}

class MountedDisk implements SmallDisk {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get #ballast(): string {
    return join(this.#folder, "ballast");
  }

  async fill(): Promise<void> {
    const file = openSync(this.#ballast, "w");
    try {
      for (let size = 1 << 20; size >= 4096; size >>= 1) while (fits(file, size));
    } finally {
      closeSync(file);
    }
  }

  async free(): Promise<void> {
    await rm(this.#ballast);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync("umount", ["--lazy", this.#folder]);
    await rm(this.#folder, { recursive: true });
  }
}

function fits(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) === size;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOSPC") return false;
    throw error;
  }
}

class LimitedFiles implements SmallDisk {
  readonly #server: EmbeddedServer;

  constructor(server: EmbeddedServer) {
    this.#server = server;
  }

  /** Half a block more than whole ones: the write that goes beyond is cut short. */
  async fill(): Promise<void> {
    await this.#limit(String((4 << 20) + 4096));
  }

  async free(): Promise<void> {
    await this.#limit("unlimited");
  }

  /** The postmaster first: who is started later inherits it. */
  async #limit(size: string): Promise<void> {
    const { pid } = this.#server;
    if (pid === undefined) throw new Error("the server is down");
    // As the server's own user, who needs no privilege for that.
    const { uid, gid } = serverUser() ?? {};
    const set = (one: number | string) =>
      execFileSync("prlimit", ["--pid", String(one), `--fsize=${size}:`], { uid, gid, cwd: "/", stdio: "pipe" });
    set(pid);
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" ").filter(Boolean);
    for (const child of children) {
      try {
        set(child);
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
