/** Random choices that a seed repeats exactly. */
export interface Random {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** From low to high, both included. */
  int(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  shuffle<T>(list: readonly T[]): T[];
  /** Another sequence, whose use does not shift this one. */
  fork(): Random;
}

/** mulberry32: small, and the same on every machine. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return {
    seed,
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (from) => {
      if (!from.length) throw new Error("nothing to pick from");
      return from[int(0, from.length - 1)]!;
    },
    shuffle: (list) => {
      const shuffled = [...list];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = int(0, i);
        [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
      }
      return shuffled;
    },
    fork: () => seeded(int(0, 2 ** 32 - 1)),
  };
}

/** The seeds a property test runs: `SEED` alone when set, else `count` of them from `SEED_START`. */
export function seeds(count: number): number[] {
  const only = process.env.SEED;
  if (only) return [Number(only)];
  const first = Number(process.env.SEED_START ?? 1);
  return Array.from({ length: Number(process.env.SEEDS ?? count) }, (_, i) => first + i);
}
