import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { Decrypter, Encrypter } from "age-encryption";
import { TandemError } from "../base/errors.ts";
import { registerSecret } from "../base/scrub.ts";
import { withoutGarbage } from "./without-garbage.ts";

/** What is added to the name of an encrypted file, as people do by hand. */
export const encryptedEnding = ".age";

/** Encrypts a stream so that the private key of any recipient opens it, by this program or by `age`. */
export async function encrypt(source: Readable, recipients: readonly string[]): Promise<Readable> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return Readable.from(withoutGarbage(fromWeb(await encrypter.encrypt(toWeb(source)))));
}

/** Private keys, as a file of `age-keygen` holds them. */
export class Identities {
  readonly #keys: readonly string[];

  private constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /** Reads a file of private keys; `backup_locked` when there is none in it. */
  static async read(path: string | null): Promise<Identities> {
    if (path === null) throw new TandemError("backup_locked", "the backup is encrypted, and no private key was named");
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new TandemError("backup_locked", `the file of the private key, ${path}, cannot be read (${code})`, {
        cause: error,
      });
    }
    const keys = text.split(/\r?\n/).filter((line) => /^AGE-SECRET-KEY-/i.test(line.trim()));
    for (const key of keys) registerSecret(key.trim());
    if (keys.length === 0) throw new TandemError("backup_locked", `${path} holds no private key (AGE-SECRET-KEY-…)`);
    return new Identities(keys.map((key) => key.trim()));
  }

  /** Decrypts a stream. `backup_locked`: none of the keys is that of a recipient; `backup_damaged`: it was altered or cut off. */
  async decrypt(source: Readable, where: string): Promise<Readable> {
    const damaged = (error: unknown) =>
      error instanceof TandemError
        ? error
        : new TandemError("backup_damaged", `${where} cannot be decrypted: it was altered or cut off`, {
            cause: error,
          });
    const decrypter = new Decrypter();
    let broken: Error | null = null;
    source.once("error", (error) => {
      broken = error;
    });
    try {
      for (const key of this.#keys) decrypter.addIdentity(key);
    } catch (error) {
      throw new TandemError("backup_locked", "the file of the private key holds one that is not whole", {
        cause: error,
      });
    }
    try {
      const plain = fromWeb(await decrypter.decrypt(toWeb(source)));
      return Readable.from(named(plain, (error) => broken ?? damaged(error)));
    } catch (error) {
      if (/no identity matched/.test((error as Error).message))
        throw new TandemError("backup_locked", `${where} was encrypted for others than the private key at hand`);
      throw broken ?? damaged(error);
    }
  }
}

async function* named(source: Readable, nameOf: (error: unknown) => unknown): AsyncGenerator<Uint8Array> {
  try {
    yield* withoutGarbage(source);
  } catch (error) {
    throw nameOf(error);
  }
}

// The library knows the streams of the web by the types of browsers.
function toWeb(source: Readable): globalThis.ReadableStream<Uint8Array> {
  return Readable.toWeb(source) as unknown as globalThis.ReadableStream<Uint8Array>;
}

function fromWeb(source: globalThis.ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(source as unknown as ReadableStream<Uint8Array>);
}
