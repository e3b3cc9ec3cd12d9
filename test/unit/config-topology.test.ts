import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Pair, topologyFaults } from "../../src/config/topology.ts";

const pairs = (text: string): Pair[] => text.split(" ").map((pair) => [pair[0] ?? "", pair[1] ?? ""]);

describe("C3: only nets whose cycles are fully linked", () => {
  it.each([
    ["pair", "ab", "ab"],
    ["mesh of three", "abc", "ab bc ca"],
    ["mesh of four", "abcd", "ab ac ad bc bd cd"],
    ["chain", "abcd", "ab bc cd"],
    ["star", "abcd", "ab ac ad"],
    ["tree", "abcdef", "ab ac bd be cf"],
    ["two meshes joined at a node", "abcde", "ab bc ca cd de ec"],
    ["two meshes joined by a link", "abcdef", "ab bc ca cd de ef fd"],
  ])("%s is accepted", (_, nodes, links) => {
    expect(topologyFaults([...nodes], pairs(links))).toEqual([]);
  });

  it("one node needs no link", () => {
    expect(topologyFaults(["a"], [])).toEqual([]);
  });

  it("a square is refused with both its diagonals, and one of them is not enough", () => {
    const fault = (a: string, b: string) => ({ kind: "missing_link", nodes: [a, b] });
    expect(topologyFaults([..."abcd"], pairs("ab bc cd da"))).toEqual([fault("a", "c"), fault("b", "d")]);
    expect(topologyFaults([..."abcd"], pairs("ab bc cd da ac"))).toEqual([fault("b", "d")]);
  });

  it("a node without a way to the others is named", () => {
    expect(topologyFaults([..."abcd"], pairs("ab cd"))).toEqual([
      { kind: "disconnected", nodes: ["a", "c"] },
      { kind: "disconnected", nodes: ["a", "d"] },
    ]);
  });

  it("agrees with a search for simple cycles", () => {
    const nodes = [..."abcde"];
    const all = nodes.flatMap((a, index) => nodes.slice(index + 1).map((b): Pair => [a, b]));
    fc.assert(
      fc.property(fc.subarray(all), (links) => {
        const faults = topologyFaults(nodes, links);
        if (faults.some(({ kind }) => kind === "disconnected")) return;
        const linked = (a: string, b: string) => links.some((pair) => pair.includes(a) && pair.includes(b));
        const expected = all.filter(([a, b]) => !linked(a, b) && onCommonCycle(a, b, nodes, linked));
        expect(faults.map((fault) => fault.nodes)).toEqual(expected);
      }),
      { numRuns: 300, seed: 3 },
    );
  });
});

/** Walks every simple path from `a` back to `a`, and looks for one that passes `b`. */
function onCommonCycle(
  a: string,
  b: string,
  nodes: readonly string[],
  linked: (a: string, b: string) => boolean,
): boolean {
  const walk = (path: readonly string[]): boolean => {
    const last = path.at(-1) ?? a;
    if (path.length > 2 && linked(last, a) && path.includes(b)) return true;
    return nodes.some((next) => !path.includes(next) && linked(last, next) && walk([...path, next]));
  };
  return walk([a]);
}
