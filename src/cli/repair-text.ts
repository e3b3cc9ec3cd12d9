import { labelOf } from "../sidecar/node-status.ts";
import type { RepairedKey, RepairReport } from "../sidecar/repair.ts";
import { count, listing } from "../sidecar/words.ts";
import { printable } from "./text.ts";
import { describeVerify } from "./verify-text.ts";

// Enough to see what was done; --json has them all.
const keysShown = 20;

/** What a repair did, or would do, for a person: each row with the node that is right, then how the nodes stand. */
export function describeRepair(report: RepairReport, dryRun: boolean): string {
  const { before, after, left, failed } = report;
  const planned = before.tables.flatMap(({ schema, name, mended }) => mended.map((key) => ({ schema, name, ...key })));
  const done = dryRun ? planned.filter(({ winner }) => winner !== null) : report.mended;
  return [
    headline(done.length, left.length, dryRun),
    ...some(done, (key) => `${rowOf(key)}: as in ${key.winner} (${key.why}); ${changesOf(key)}`),
    ...some(left, (key) => `${rowOf(key)}: left, for ${key.why}`),
    ...(left.length > 0 ? ["  `--prefer NODE` names the node that is right about the rows left"] : []),
    ...failed.map((line) => printable(`  ${line}`)),
    ...(dryRun ? [] : [describeVerify(after)]),
  ].join("\n");
}

function headline(done: number, left: number, dryRun: boolean): string {
  if (done + left === 0) return dryRun ? "Nothing would be mended." : "Nothing had to be mended.";
  const rest = left > 0 ? `, ${count(left, "row")} left` : "";
  return `${dryRun ? `${count(done, "row")} would be mended` : `${count(done, "row")} mended`}${rest}.`;
}

function some(keys: readonly RepairedKey[], line: (key: RepairedKey) => string): string[] {
  const more = keys.length - keysShown;
  return [
    ...keys.slice(0, keysShown).map((key) => printable(`  ${line(key)}`)),
    ...(more > 0 ? [`  ${more.toLocaleString("en")} more; \`--json\` lists them`] : []),
  ];
}

const rowOf = ({ schema, name, key }: RepairedKey): string =>
  `${labelOf(schema, name)} ${key.length === 1 ? key[0] : `(${key.join(", ")})`}`;

function changesOf({ changes }: RepairedKey): string {
  return listing(changes.map(({ node, change }) => `${change} in ${node}`));
}
