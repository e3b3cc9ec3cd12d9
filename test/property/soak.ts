import { writeFile } from "node:fs/promises";
import { it } from "vitest";
import { openOracle } from "./oracle.ts";
import type { SoakReport } from "./soak-report.ts";

const minutes = Number(process.env.SOAK_MINUTES);
const first = Number(process.env.SEED_START ?? 1);
const sizes = (process.env.NODES ?? "2,3,4").split(",").map(Number);

// as long as asked for: seed after seed, a failing one is printed and the next one follows
const oracle = openOracle();
const limit = (minutes + 15) * 60_000;
it(`C1 C2 C3 C5 C7 C8: histories with faults for ${minutes} minutes`, { timeout: limit }, async () => {
  const begun = Date.now();
  const passed: Record<string, number> = {};
  const failed: { seed: number; nodes: number; error: string }[] = [];
  let seed = first;
  for (; Date.now() - begun < minutes * 60_000; seed++) {
    const nodes = sizes[seed % sizes.length]!;
    try {
      await oracle().run(seed, nodes);
      passed[nodes] = (passed[nodes] ?? 0) + 1;
    } catch (error) {
      failed.push({ seed, nodes, error: essence(error) });
      process.stdout.write(`FAILED seed ${seed}, ${nodes} nodes\n${error instanceof Error ? error.message : error}\n`);
    }
  }
  const report: SoakReport = {
    firstSeed: first,
    lastSeed: seed - 1,
    minutes: Math.round((Date.now() - begun) / 6_000) / 10,
    servers: await oracle().serverVersions(),
    passed,
    failed,
    met: String(oracle().coverage),
  };
  if (process.env.SOAK_REPORT) await writeFile(process.env.SOAK_REPORT, JSON.stringify(report));
  if (failed.length > 0)
    throw new Error(`${failed.length} seeds failed: ${failed.map((each) => each.seed).join(", ")}`);
});

/** What was wrong, without the description of the history before it and the logs after it. */
function essence(error: unknown): string {
  const lines = String(error instanceof Error ? error.message : error).split("\n");
  const told = lines.filter((line) => !/^(seed|again:|log of|conflict at)/.test(line));
  return told.slice(0, 3).join("; ").slice(0, 400);
}
