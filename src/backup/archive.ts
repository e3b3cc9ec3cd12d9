import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract, type Header } from "tar-stream";
import { TandemError } from "../base/errors.ts";

/** Reads every entry of an archive to its end; throws what `each` throws, and `backup_damaged` for what is no archive. Returns how many there are. */
export async function readArchive(
  path: string,
  each: (header: Header, content: AsyncIterable<Buffer>) => Promise<void>,
  signal?: AbortSignal,
): Promise<number> {
  const tar = extract();
  const piped = pipeline(createReadStream(path), createGunzip(), tar, { signal });
  // Awaited below; the loop may fail first.
  piped.catch(() => {});
  let entries = 0;
  let failure: { readonly reason: unknown } | null = null;
  try {
    for await (const entry of tar) {
      entries += 1;
      await each(entry.header, entry as unknown as AsyncIterable<Buffer>).catch((reason: unknown) => {
        failure = { reason };
        throw reason;
      });
      entry.resume();
    }
    await piped;
    return entries;
  } catch (error) {
    if (failure !== null || signal?.aborted) throw error;
    throw new TandemError("backup_damaged", `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
