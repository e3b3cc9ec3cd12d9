import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { TandemError } from "../base/errors.ts";

/** Backups hold whole databases: nobody but their owner reads them. */
export const privateFile = 0o600;
/** As `privateFile`, for folders. */
export const privateFolder = 0o700;

/** Makes a folder, and those above it, that only its owner may enter. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: privateFolder });
}

/** Brings a folder's entries to the disk: a file that was synced may still lose its name in a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a folder, and some need not.
    if (!["EINVAL", "EPERM", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await handle.close();
  }
}

/** Brings a file that another program wrote to the disk. */
export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes a file whole or not at all: beside it, synced, then renamed over it. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  try {
    const handle = await open(partial, "w", privateFile);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Size and SHA-256 of a file as the disk has it. */
export async function digestFile(path: string, signal?: AbortSignal): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  await pipeline(
    createReadStream(path, { highWaterMark: 1 << 20 }),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.length;
      }
    },
    { signal },
  );
  return { bytes, sha256: hash.digest("hex") };
}

/** For `catch` of a look at a file: null where there is none. What cannot be looked at is no proof that nothing is there. */
export function unlessMissing(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
  throw error;
}

const storageErrors: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  EACCES: "access is denied",
  EPERM: "access is denied",
  ENOTDIR: "a part of the path is no folder",
  EIO: "the disk reports an error",
  EISDIR: "it is a folder",
  ELOOP: "its links lead in a circle",
  EFBIG: "the file is larger than is allowed here",
};

/** Gives errors of the file system a code and words; others pass as they are. */
export function storageError(error: unknown, folder: string): unknown {
  if (error instanceof TandemError || !(error instanceof Error)) return error;
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  // Sockets are read, too.
  const ofRead = syscall === "read" && code !== undefined && code in storageErrors;
  const ofFile =
    ofRead || (syscall !== undefined && (path !== undefined || ["write", "fsync", "ftruncate"].includes(syscall)));
  if (code === undefined || !ofFile) return error;
  const reason = storageErrors[code] ?? error.message;
  return new TandemError("backup_storage", `${path ?? folder} cannot be used: ${reason}`, { cause: error });
}
