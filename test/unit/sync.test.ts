import { describe, expect, test } from "vitest";
import { covers } from "../../src/sidecar/sync.ts";

/** What is visible in a snapshot, of the transactions 1 to 12. */
function visible(position: string): number[] {
  const [start = 0, end = 0] = position.split(":").slice(0, 2).map(Number);
  const open = (position.split(":")[2] ?? "").split(",").map(Number);
  return Array.from({ length: 12 }, (_, i) => i + 1).filter((xid) => xid < start || (xid < end && !open.includes(xid)));
}

/** Every snapshot that begins and ends within ten transactions. */
function* positions(): Generator<string> {
  for (let start = 1; start <= 6; start++) {
    for (let end = start; end <= 7; end++) {
      // Whoever is first among the open ones is the snapshot's beginning.
      const later = Array.from({ length: Math.max(0, end - start - 1) }, (_, i) => start + 1 + i);
      for (let chosen = 0; chosen < 2 ** later.length; chosen++) {
        const open = end === start ? [] : [start, ...later.filter((_, i) => (chosen >> i) & 1)];
        yield `${start}:${end}:${open.join(",")}`;
      }
    }
  }
}

describe("whether a link has come to where its source was", () => {
  test("C1: one position covers another when nothing is visible in that one alone", () => {
    const all = [...positions()];
    expect(all.length).toBeGreaterThan(50);
    for (const position of all) {
      for (const goal of all) {
        const seen = new Set(visible(position));
        const expected = visible(goal).every((xid) => seen.has(xid));
        expect({ position, goal, covers: covers(position, goal) }).toEqual({ position, goal, covers: expected });
      }
    }
  });

  test("numbers beyond what JavaScript counts exactly, and snapshots far apart", () => {
    const far = 2n ** 62n;
    expect(covers(`${far}:${far}:`, `${far + 1n}:${far + 1n}:`)).toBe(false);
    expect(covers(`${far + 1n}:${far + 1n}:`, `${far}:${far + 1n}:${far}`)).toBe(true);
    expect(covers("1:1:", `${far}:${far}:`)).toBe(false);
  });
});
