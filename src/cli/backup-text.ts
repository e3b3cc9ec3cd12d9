import type { BackupEntry, BackupList } from "../backup/list.ts";
import type { PruneReport } from "../backup/prune.ts";
import type { BackupRestoreReport } from "../backup/restore.ts";
import type { RestoredFiles } from "../backup/restore-files.ts";
import type { NewDatabase } from "../backup/restore-new.ts";
import type { StoreList, StoreState } from "../backup/store-state.ts";
import type { UploadReport } from "../backup/upload.ts";
import type { BackupProof } from "../backup/verify.ts";
import { count } from "../sidecar/words.ts";
import { renderTable } from "./table.ts";
import { moment, paint, printable } from "./text.ts";

const levels = ["sealed", "readable", "restored", "proven"] as const;

/** `12.3 MB` */
export function size(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return unit === 0 ? `${value} bytes` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** What was made, for a person. */
export function describeMade(entry: BackupEntry, store: Pick<StoreState, "name" | "sameDisk"> | null): string {
  const lines = [
    `Backup ${entry.id} of ${entry.node}: ${count(entry.rows, "row")} of ${count(entry.tables, "table")}, ${size(entry.bytes)}.`,
  ];
  if (entry.state === "degraded")
    lines.push(`Degraded, the rows are there as JSON only: ${printable(entry.reason ?? "")}.`);
  for (const { name, reason } of entry.leftOut) lines.push(`Left out: ${printable(name)} ${printable(reason)}.`);
  for (const warning of entry.warnings) lines.push(`pg_dump says: ${printable(warning)}`);
  if (!entry.places.includes("store")) lines.push("Its only copy is on this machine.");
  else lines.push(store?.sameDisk ? sameDiskLine(store.name) : "A copy is in the store.");
  return lines.join("\n");
}

/** How far a backup was proven, for a person. */
export function describeProof({ id, asked, reached, error }: BackupProof): string {
  if (reached === null) return `Backup ${id} is damaged.`;
  const state = `Backup ${id} is ${levels[reached]} (level ${reached})`;
  return error === null ? `${state}.` : `${state}; level ${asked} was not reached.`;
}

/** What goes and what stays, for a person. */
export function describePrune({ dryRun, decisions, removed }: PruneReport): string {
  if (!dryRun) return `${count(removed.length, "backup")} removed, ${decisions.length - removed.length} kept.`;
  if (decisions.length === 0) return "There is no backup.";
  const rows = decisions.map(({ id, keep, reasons }) => [id, keep ? "stays" : "goes", reasons.join(", ")]);
  return renderTable(["backup", "", "why"], rows);
}

/** What there is, for a person. */
export function describeList(list: StoreList, colours: boolean): string {
  const { dir, backups, failures, unsealed } = list;
  const rows = backups.map((entry) => [
    entry.id,
    entry.node,
    entry.job,
    entry.state === "complete" ? levels[entry.level] : entry.state,
    entry.rows,
    size(entry.bytes),
    copiesOf(entry, list.store),
    [entry.label, entry.pinned ? "pinned" : null, entry.state === "complete" ? null : entry.reason]
      .filter(Boolean)
      .join("; "),
  ]);
  const [head = "", ...lines] = renderTable(
    ["backup", "node", "job", "state", "rows", "size", "copies", "notes"],
    rows,
  ).split("\n");
  const amber = (line: string, i: number) => {
    const entry = backups[i];
    return paint("yellow", line, colours && entry !== undefined && isOnlyHere(entry, list.store));
  };
  const parts =
    rows.length === 0
      ? [`There is no backup in ${printable(dir)}.`]
      : [[head, ...lines.map(amber)].join("\n"), ...storeLines(list, colours)];
  const last = failures.findLast(({ what }) => what === "backup");
  if (last && last.id > (backups.at(-1)?.id ?? "")) {
    parts.push(`The last try failed (${moment(last.failedAt)}): ${printable(last.message)}`);
  }
  for (const { id, failedAt, message } of failedProofs(backups, failures)) {
    parts.push(`The proof of ${id} failed (${moment(failedAt)}): ${printable(message)}`);
  }
  if (unsealed.length > 0) parts.push(`Being made, or left behind: ${unsealed.join(", ")}`);
  return parts.join("\n\n");
}

/** Where copies of a backup are; `store`: that of the configuration. */
export function copiesOf(entry: Pick<BackupEntry, "places">, store: Pick<StoreState, "sameDisk"> | null): string {
  const { places } = entry;
  if (!places.includes("store")) return "only here";
  if (!places.includes("folder")) return "store";
  return isOnlyHere(entry, store) ? "here, same disk" : "here, store";
}

/** Whether a backup is lost with the disk of this machine. */
export function isOnlyHere(
  { places }: Pick<BackupEntry, "places">,
  store: Pick<StoreState, "sameDisk"> | null,
): boolean {
  return !places.includes("store") || store?.sameDisk === true;
}

/** A store that is no help when the disk is lost. */
export function sameDiskLine(name: string): string {
  return `${printable(name)} is on the disk of the backups: it is lost with them.`;
}

/** What there is to say about the store. */
function storeLines({ store, backups }: StoreList, colours: boolean): string[] {
  const alone = "the disk of this machine is all there is of them";
  if (store === null)
    return backups.length === 0 ? [] : [paint("yellow", `There is no store (\`backup.store\`): ${alone}.`, colours)];
  const lines: string[] = [];
  if (store.sameDisk) lines.push(paint("yellow", sameDiskLine(store.name), colours));
  if (store.unasked !== null) lines.push(paint("yellow", `As known before: ${printable(store.unasked)}`, colours));
  if (store.behind.length > 0) {
    const many = `${count(store.behind.length, "backup")} ${store.behind.length === 1 ? "is" : "are"} not in ${printable(store.name)} yet`;
    lines.push(paint("yellow", `${many}: \`tandem run\` brings them there, \`tandem backup upload\` now.`, colours));
  }
  if (store.failure)
    lines.push(`The last upload failed (${moment(store.failure.at)}): ${printable(store.failure.message)}`);
  return lines;
}

/** What was brought to the store, for a person. */
export function describeUpload({ store, uploaded }: UploadReport): string {
  if (uploaded.length === 0) return `All backups are in ${printable(store)}.`;
  return `${count(uploaded.length, "backup")} brought to ${printable(store)}: ${uploaded.join(", ")}.`;
}

/** Failures of proofs, of backups that are there and were not proven since. */
function failedProofs(backups: BackupList["backups"], failures: BackupList["failures"]): BackupList["failures"] {
  return failures.filter(({ what, id, failedAt }) => {
    const entry = backups.find((one) => one.id === id);
    return what === "proof" && entry && !(entry.level === 3 && (entry.provenAt ?? "") > failedAt);
  });
}

/** What a restore did, or would do, for a person; `linked`: the node has peers. */
export function describeRestore(report: BackupRestoreReport, linked: boolean): string {
  const { id, node, dryRun, mode, localOnly, safety, tables, sequences } = report;
  const title = dryRun
    ? `Backup ${id}, ${mode}, into ${node} would do this:`
    : `Backup ${id} is restored (${mode}) in ${node}:`;
  const extra = mode === "exact" ? "deleted" : "kept besides";
  const rows = tables.map((table) => [
    `${table.schema}.${table.name}`,
    ...[table.inserted, table.updated, table.unchanged, mode === "exact" ? table.deleted : table.extra],
  ]);
  const lines = [title, renderTable(["table", "inserted", "updated", "unchanged", extra], rows)];
  if (sequences.length > 0) lines.push(`${count(sequences.length, "sequence")} moved on.`);
  const [stay, travel] = [
    `The rows stay in ${node}: its peers keep theirs, and \`tandem verify\` shows the difference.`,
    "The rows travel to the peers, as changes made now.",
  ];
  if (linked) lines.push(localOnly ? stay : travel);
  if (safety !== null) lines.push(`What was there before is backup ${safety}.`);
  else if (!dryRun) lines.push("All was as in the backup already, so none was made before.");
  return lines.join("\n");
}

/** Files that were put back, or would be, for a person. */
export function describeRestoredFiles({ id, dryRun, to, created, replaced, kept }: RestoredFiles): string {
  const verb = dryRun ? "would be put back" : "are put back";
  const line = `${count(created + replaced, "file")} of backup ${id} ${verb} below ${printable(to)}: ${created} new, ${replaced} instead of others.`;
  return kept === null ? line : `${line}\nThose that were there before are in ${printable(kept)}.`;
}

/** A database that was made of a backup, for a person. */
export function describeNewDatabase({ id, node, database, tables, rows }: NewDatabase): string {
  return `Database ${printable(database)} on the server of ${node}: ${count(rows, "row")} of ${count(tables, "table")} from backup ${id}, equal to the manifest.`;
}
