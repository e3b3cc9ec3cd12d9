import type { ConflictDetails, RestoreReport } from "../sidecar/conflicts.ts";
import { listing } from "../sidecar/words.ts";
import { renderTable } from "./table.ts";
import { moment, printable } from "./text.ts";

/** A conflict in a sentence or two for a person, with the columns that differ. */
export function describeConflict(details: ConflictDetails): string {
  const { id, table, key, winner, loser, differences, restoredAt } = details;
  const parts = [printable(`${table} ${key}: ${whatHappened(details)} ${whyWon(details)}`)];
  if (differences.length > 0) {
    const columns = differences.map(({ column }) => column);
    parts[0] += printable(` They differ in ${listing(columns)}.`);
    const rows = differences.map((each) => [each.column, each.winner, each.loser]);
    parts.push("", renderTable(["column", `${winner.origin}, stays`, `${loser.origin}, lost`], rows));
  } else if (loser.image !== null) {
    parts.push("", printable(`The image that lost: ${loser.image}`));
  }
  parts.push(
    "",
    restoredAt === null
      ? `\`tandem conflicts restore ${id}\` brings back ${loser.image === null ? "the deletion" : "the image"} that lost.`
      : `What lost was brought back at ${moment(restoredAt)}.`,
  );
  return parts.join("\n");
}

const verbs: Readonly<Record<string, string>> = { insert: "inserted", update: "changed", delete: "deleted" };

function whatHappened({ kind, winner, loser }: ConflictDetails): string {
  const at = (instant: string) => (moment(instant) === "unknown" ? "at an unknown time" : `at ${moment(instant)} UTC`);
  const [won = "", lost = ""] = kind.split("/").map((word) => verbs[word]);
  if (kind === "unique") {
    return `${winner.origin} wrote another row ${at(winner.changedAt)} and ${loser.origin} this one ${at(loser.changedAt)}, both with a value that only one row may hold.`;
  }
  if (kind === "referring/delete") {
    return `${winner.origin} deleted the row it refers to ${at(winner.changedAt)}, while ${loser.origin || "somebody"} had written it ${at(loser.changedAt)}.`;
  }
  if (kind === "referring/update") {
    return `${winner.origin} changed the value it refers to ${at(winner.changedAt)}, while ${loser.origin || "somebody"} had written it ${at(loser.changedAt)}.`;
  }
  if (kind === "referenced/update") {
    return `${loser.origin} changed a value of it ${at(loser.changedAt)}, while rows that refer to the old one were written elsewhere.`;
  }
  if (kind === "referenced/delete") {
    return `${loser.origin} deleted it ${at(loser.changedAt)}, while rows that refer to it were written elsewhere.`;
  }
  return `${loser.origin || "a node"} ${lost} it ${at(loser.changedAt)} and ${winner.origin || "another one"} ${won} it ${at(winner.changedAt)}, neither knowing of the other's change.`;
}

function whyWon({ rule, kind, winner, loser }: ConflictDetails): string {
  if (kind.startsWith("referenced/")) return `It stays: ${rule}.`;
  if (kind.startsWith("referring/")) return `The ${rule} decided what became of it.`;
  if (kind === "unique") return `The newer row stays: ${rule.replace(/, newest$/, "")}.`;
  if (rule.startsWith("prefer: ")) return `That of ${winner.origin} stays, because the configuration prefers it.`;
  if (rule === "assumed") {
    return `That of ${winner.origin} stays: when a node came back nothing told when it had been written, so it counted as written by then.`;
  }
  if (rule === "seed") return `That of ${winner.origin || "the seed"} stays, as \`sync.seed\` says.`;
  if (winner.changedAt === loser.changedAt) {
    return `That of ${winner.origin} stays: both bear the same time, and then the node's name decides.`;
  }
  return `That of ${winner.origin} stays, because it is the newer one.`;
}

/** What bringing an image back did. */
export function describeRestore({ table, key, node, changed, leftOut }: RestoreReport): string {
  const done = changed
    ? `${table} ${key} is as it was in the image that lost, in ${node}; the others receive it with the next round.`
    : `${table} ${key} is so already in ${node}: nothing was written.`;
  const without =
    leftOut.length === 0 ? "" : ` Left out, since the table has no such column any more: ${listing(leftOut)}.`;
  return printable(done + without);
}
