import type { LinkStatus } from "../sidecar/link-status.ts";
import type { StatusReport } from "../sidecar/status.ts";
import { count, duration, listing } from "../sidecar/words.ts";
import { copiesOf, isOnlyHere, sameDiskLine } from "./backup-text.ts";
import { defineCommand } from "./command.ts";
import { renderTable } from "./table.ts";
import { hasColours, moment, paint, printable } from "./text.ts";

/** How all is, beginning with one sentence. */
export const status = defineCommand({
  usage: "status",
  summary: "how all is, beginning with one sentence",
  async run(_, { loadConfig, signal, stdout, env, answer }) {
    const config = await loadConfig();
    const { status: ask } = await import("../sidecar/status.ts");
    const report = await ask(config, { signal, askStore: true });
    answer(report, describe(report, hasColours(stdout, env)));
    return report.well ? 0 : 1;
  },
});

function describe(report: StatusReport, colours: boolean): string {
  const { sentence, well, problems, leftOut } = report;
  const waits = report.links.some(({ pending }) => pending) || report.backups.some((job) => isAmber(job, report));
  const parts = [
    paint(well ? (waits ? "yellow" : "green") : "red", printable(sentence), colours),
    "",
    ...(report.links.length > 0 ? [links(report), ""] : []),
    ...sidecars(report),
  ];
  if (problems.length > 0) {
    parts.push("", ...problems.map(({ message, remedy }) => `- ${printable(message)}. ${printable(remedy)}`));
  }
  if (report.triggers.length > 0) {
    parts.push(
      "",
      "Triggers that fire for what is applied (choose `triggers: leave` or `guard` for their tables; `tandem doctor`):",
      renderTable(
        ["node", "table", "trigger"],
        report.triggers.map(({ node, table, trigger }) => [node, table, trigger]),
      ),
    );
  }
  if (report.backups.length > 0) parts.push("", backups(report, colours));
  const quiet = leftOut.filter(({ problem }) => !problem);
  if (quiet.length > 0) {
    parts.push(
      "",
      "Left out:",
      renderTable(
        ["node", "table", "why"],
        quiet.map(({ node, table, reason }) => [node, table, reason]),
      ),
    );
  }
  return parts.join("\n");
}

/** Who works, by sidecar: one that works on all nodes is one line. */
function sidecars({ nodes }: StatusReport): string[] {
  const labels = new Set(nodes.flatMap(({ sidecar }) => (sidecar ? [sidecar.label] : [])));
  const lines = [...labels].map((label) => {
    const held = nodes.filter(({ sidecar }) => sidecar?.label === label);
    const since = held.map(({ sidecar }) => sidecar?.since ?? "").sort()[0] ?? "";
    return `Sidecar ${printable(label)} works on ${listing(held.map(({ node }) => node))} since ${moment(since)} (UTC).`;
  });
  return lines.length > 0 ? lines : ["No sidecar is running."];
}

/** Backups of which the only copy is on this machine are shown amber: its disk may not last. */
function backups({ backups: all, store }: StatusReport, colours: boolean): string {
  const rows = all.map(({ job, node, last, level, proven, places }) => [
    ...[job, node, last, level, last === null ? null : copiesOf({ places }, store), proven],
  ]);
  const head = ["backup job", "node", "last", "level", "copies", "last proven"];
  const [first = "", ...lines] = renderTable(head, rows).split("\n");
  const parts = [first, ...lines.map((line, i) => paint("yellow", line, colours && isAmber(all[i], { store })))];
  if (store === null) parts.push(paint("yellow", "There is no store: the only copies are on this machine.", colours));
  if (store?.unasked != null)
    parts.push(paint("yellow", "The store could not be asked: this is as it was known before.", colours));
  if (store?.sameDisk) parts.push(paint("yellow", sameDiskLine(store.name), colours));
  if (store && store.behind.length > 0)
    parts.push(
      paint("yellow", `Not in ${printable(store.name)} yet: ${count(store.behind.length, "backup")}.`, colours),
    );
  return parts.join("\n");
}

function isAmber(job: StatusReport["backups"][number] | undefined, { store }: Pick<StatusReport, "store">): boolean {
  return job !== undefined && job.last !== null && isOnlyHere(job, store);
}

function lag(ms: number): string {
  return ms < 2_000 ? `${Math.ceil(ms)} ms` : duration(ms);
}

function heartbeat({ heartbeatMs, heartbeatAt }: LinkStatus): string | null {
  return heartbeatMs === null || heartbeatAt === null ? null : `${lag(heartbeatMs)}, ${moment(heartbeatAt)}`;
}

function links({ links: all }: StatusReport): string {
  const beating = all.some(({ heartbeatAt }) => heartbeatAt !== null);
  const rows = all.map((link) => [
    `${link.source} → ${link.target}`,
    link.pending,
    link.oldestPendingMs === null ? null : duration(link.oldestPendingMs),
    link.parked,
    link.tablesHeld,
    link.tablesCopying,
    link.conflicts24h,
    link.lagMs === null ? null : lag(link.lagMs),
    ...(beating ? [heartbeat(link)] : []),
    link.appliedAt === null ? null : moment(link.appliedAt),
    link.caughtUpAt === null ? null : moment(link.caughtUpAt),
  ]);
  return renderTable(
    [
      "link",
      "pending",
      "oldest",
      "parked",
      "held",
      "copying",
      "conflicts 24h",
      "lag",
      ...(beating ? ["heartbeat (UTC)"] : []),
      "applied (UTC)",
      "caught up (UTC)",
    ],
    rows,
  );
}
