/** The middle value; of an even number the lower of the two. */
export function median(values) {
  return percentile(values, 0.5);
}

/** The value below or at which this part of all lies. */
export function percentile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
}

/** Milliseconds that an action takes. */
export async function timed(action) {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

/**
 * Runs the peers in turn, round after round, each round beginning with another one; `peers` maps a name to a function of
 * the round's number that returns a figure. Returns all figures by name.
 */
export async function inTurns(rounds, peers) {
  const names = Object.keys(peers);
  const figures = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length];
      figures[name].push(await peers[name](round));
    }
  }
  return figures;
}

/** Rounded to what a reader can use. */
export const rounded = (value) => Number(value.toPrecision(4));
