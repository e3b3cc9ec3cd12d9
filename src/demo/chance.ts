/** Choices that look random and are the same for the same seed (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 1 to n. */
  upTo(n: number): number {
    return 1 + Math.floor(this.next() * n);
  }

  /** An amount of money as PostgreSQL writes it. */
  price(): string {
    return (5 + Math.floor(this.next() * 19_500) / 100).toFixed(2);
  }

  /** One of several words. */
  oneOf(words: readonly [string, ...string[]]): string {
    return words[this.upTo(words.length) - 1] ?? words[0];
  }
}
