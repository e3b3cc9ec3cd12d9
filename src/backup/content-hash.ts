import { createHash, hash as digest, type Hash } from "node:crypto";
import { Transform, type TransformCallback } from "node:stream";

/** Words of a SHA-256. */
export const lanes = 8;
const newline = 10;

/**
 * Counts lines and hashes them without regard to their order: the sums, modulo 2^32, of the eight words of each
 * line's SHA-256. A restored table has the same rows in another order. A line of any length takes no memory.
 */
export class ContentHash {
  rows = 0;
  readonly #sums = new Uint32Array(lanes);
  #partial: Hash | null = null;

  /** Bytes of lines, cut anywhere. */
  update(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      const end = chunk.indexOf(newline, from);
      if (end < 0) {
        this.#partial ??= createHash("sha256");
        this.#partial.update(chunk.subarray(from));
        return;
      }
      const piece = chunk.subarray(from, end);
      this.#add(this.#partial ? this.#partial.update(piece).digest("binary") : digest("sha256", piece, "binary"));
      this.#partial = null;
      from = end + 1;
    }
  }

  /** A digest as one character a byte: a buffer for each line would take twice the time. */
  #add(line: string): void {
    const byte = (i: number) => line.charCodeAt(i);
    for (let i = 0; i < lanes; i++) {
      const at = i * 4;
      const word = (byte(at) << 24) | (byte(at + 1) << 16) | (byte(at + 2) << 8) | byte(at + 3);
      this.#sums[i] = (this.#sums[i] ?? 0) + word;
    }
    this.rows += 1;
  }

  /** False while a line has begun and not ended. */
  get whole(): boolean {
    return this.#partial === null;
  }

  /** 64 hexadecimal digits. */
  hex(): string {
    return [...this.#sums].map((sum) => sum.toString(16).padStart(8, "0")).join("");
  }
}

/** The same of the sums of each of the 32 bytes, of any size. */
export function hexOfSums(sums: readonly bigint[]): string {
  const words = Array.from({ length: lanes }, (_, i) => {
    const word = sums.slice(i * 4, i * 4 + 4).reduce((high, sum) => high * 256n + sum, 0n);
    return BigInt.asUintN(32, word).toString(16).padStart(8, "0");
  });
  return words.join("");
}

/** Passes lines on unchanged and hashes them; text after the last newline is an error. */
export function hashLines(hash: ContentHash, onRows: (rows: number) => void = () => {}): Transform {
  return new Transform({
    transform(chunk: Buffer, _, done: TransformCallback) {
      hash.update(chunk);
      onRows(hash.rows);
      done(null, chunk);
    },
    flush(done) {
      done(hash.whole ? null : new Error("the last line has no end"));
    },
  });
}
