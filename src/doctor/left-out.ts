import { listed, nodeCheck, type Observation, ok, problem, warning } from "./check.ts";
import type { DoctorTable } from "./tables.ts";

/** Left out because nobody else could want it otherwise: one line for all of a kind. */
const quiet: Readonly<Record<string, string>> = {
  extension: "of extensions",
  provider: "of the provider",
  bookkeeping: "bookkeeping of migration tools",
  excluded: "excluded by the configuration",
  not_listed: "not among the tables of the configuration",
};

const remedies: Readonly<Record<string, string>> = {
  not_owner: "Use the role that owns it, or exclude it.",
  inheritance: "Turn the inheritance into declarative partitioning, or exclude the tables.",
  period: "Do without PERIOD, or exclude both tables.",
};

/** Told by checks of their own; a change log that the file names and that cannot be tracked is told here. */
const elsewhere = ["no_key", "no_column"];

/** Sees which tables are not tracked, and why. Remedy: the owner's role, partitions, or the configuration. */
export const leftOut = nodeCheck("left-out", "no table is left out", async (node) => {
  const tables = (await node.tables()).filter(({ reasonCode }) => !elsewhere.includes(reasonCode ?? ""));
  const failed = tables.filter(({ decision }) => decision === "failed");
  const left = tables.filter(({ decision, reasonCode }) => decision === "left_out" && reasonCode !== "changelog");
  const loud = left.filter(({ reasonCode }) => !(reasonCode && quiet[reasonCode]));
  return [
    ...Object.entries(quiet).flatMap(([code, words]) => together(left, code, words)),
    ...failed.map(alone),
    ...loud.map(alone),
  ];
});

function together(tables: readonly DoctorTable[], code: string, words: string): Observation[] {
  const names = tables.filter(({ reasonCode }) => reasonCode === code).map(({ label }) => label);
  return names.length === 0 ? [] : [ok(`left out, ${words}: ${listed(names)}`)];
}

function alone({ label: table, decision, reason, reasonCode }: DoctorTable): Observation {
  const remedy = remedies[reasonCode ?? ""] ?? "Exclude it, or change what keeps it out.";
  if (decision === "failed") return problem(`the configuration names this table, but it ${reason}`, remedy, { table });
  return warning(`is left out: it ${reason}`, remedy, { table });
}
