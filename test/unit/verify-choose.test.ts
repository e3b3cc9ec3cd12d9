import { describe, expect, test } from "vitest";
import type { Look } from "../../src/postgres/verify-node.ts";
import { chooseWinner } from "../../src/verify/choose.ts";

/** `hash version op`; `-` stands for none. */
function look(text: string): Look {
  const [hash = "-", stamp = "-", op = "-"] = text.split(" ");
  const version = stamp === "-" ? "" : stamp.replace("@", " ");
  return {
    key: hash === "-" ? null : '["1"]',
    hash: hash === "-" ? null : hash,
    version,
    op: op === "-" ? null : op,
    xid: null,
    receivedFrom: null,
    pending: [],
    parked: [],
  };
}

const none = null;
const cases: readonly [string, readonly string[], number | null, string | number][] = [
  ["the newest version", ["a 10@x U", "b 12@x U"], none, 1],
  ["of equal stamps the greater origin", ["a 10@y U", "b 10@x U"], none, 0],
  ["a version beats none", ["a - -", "b 2@x U"], none, 1],
  ["a tombstone beats a row put in behind it", ["a 10@x D", "- 10@x D"], none, 1],
  ["a row beats its disappearance", ["- 10@x U", "b 10@x U"], none, 1],
  ["a newer tombstone beats a row", ["a 10@x U", "- 12@y D"], none, 1],
  ["two alike of three, the third gone", ["a 10@x U", "a 10@x U", "- 10@x U"], none, 0],
  ["one version, two rows", ["a 10@x U", "b 10@x U"], none, "nodes hold different rows of one version"],
  ["one version, two rows, preferred", ["a 10@x U", "b 10@x U"], 1, 1],
  ["no version", ["a - -", "- - -"], none, "no node knows when it was written"],
  ["no version, the preferred node has no row", ["a - -", "- - -"], 1, 1],
  ["nobody has it as entered", ["a 10@x D", "b 10@x D"], none, "no node has it as its newest change left it"],
  ["a version is stronger than the preference", ["a 10@x U", "b 12@x U"], 0, 1],
];

describe("who is right about a diverged row", () => {
  test.each(cases)("%s", (_, looks, preferred, expected) => {
    const { winner, why } = chooseWinner(looks.map(look), preferred);
    expect(winner ?? why).toBe(expected);
  });
});
