import type { LinkConfig } from "../config/config.ts";
import { duration } from "../sidecar/words.ts";
import { netCheck, type Observation, ok, problem, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";
import { type Arrival, longestTripMs, sendProbes, type Trip } from "./probe.ts";
import { probeLock } from "./probe-lock.ts";

/**
 * Writes a row in each node, through real capture, and times how long it takes until it is seen in the others, which only
 * a running sidecar brings about. Sees links that nobody works on, that rest, or that do not work. Remedy: `tandem run`.
 */
export const roundtrip = netCheck("roundtrip", "a row written in one node arrives in the others", async (context) => {
  const nodes = context.nodes.filter(({ facts }) => facts.installed === "usable");
  const [first] = nodes;
  if (!first || nodes.length < 2) {
    return [problem("there are no two nodes to measure between", "Mend what stands above; then run `tandem migrate`.")];
  }
  const { findings, links } = await working(nodes, context.config.links);
  const trips = tripsOver(links, nodes, context.config.links);
  if (trips.length === 0) return findings;
  return await first.look(async (tx) => {
    const [row] = await tx.query(`select pg_try_advisory_xact_lock(${probeLock}) as got`);
    if (row?.got !== "t") return [...findings, warning("another doctor is measuring a round trip", "Try again later.")];
    const arrivals = await sendProbes(nodes, { trips, links }, context);
    return [...findings, ...arrivals.map((arrival) => seen(arrival, longestTripMs(context.config.sync.intervalMs)))];
  });
});

/** The links over which a row can come, and why none comes over the others. */
async function working(nodes: readonly DoctorNode[], links: readonly LinkConfig[]) {
  const findings: Observation[] = [];
  const open: LinkConfig[] = [];
  for (const node of nodes) {
    const into = links.filter(
      ({ source, target }) => target === node.name && nodes.some(({ name }) => name === source),
    );
    const [row] = await node.query(
      `select exists (select from tandem.sidecar where working) as works,
        (select coalesce(jsonb_agg(p.name), '[]')::text from tandem.paused_link join tandem.peer p using (peer_id)) as paused`,
    );
    if (row?.works !== "t") {
      const message = "no sidecar works on the links into this node: a row written elsewhere would not arrive";
      findings.push(problem(message, "Start `tandem run`.", { node: node.name }));
      continue;
    }
    const paused = new Set(JSON.parse(row.paused ?? "[]") as string[]);
    for (const link of into) {
      if (paused.has(link.source)) findings.push(resting(link));
      else open.push(link);
    }
  }
  return { findings, links: open };
}

function resting({ source, target }: LinkConfig): Observation {
  const remedy = `Resume it on the page, or by \`select tandem.resume_link('${source}')\` in ${target}.`;
  return problem(`the link from ${source} to ${target} is paused: nothing comes over it`, remedy, {
    link: `${source}, ${target}`,
  });
}

/** From each node to all that a row reaches over these links. Nobody else forwards it to a node that has a link from there itself. */
function tripsOver(open: readonly LinkConfig[], nodes: readonly DoctorNode[], all: readonly LinkConfig[]): Trip[] {
  const has = (links: readonly LinkConfig[], from: string, to: string) =>
    links.some(({ source, target }) => source === from && target === to);
  return nodes.flatMap(({ name: from }) => {
    const reached = new Set([from]);
    for (const node of reached) for (const { source, target } of open) if (source === node) reached.add(target);
    const arrives = (to: string) => to !== from && (has(open, from, to) || !has(all, from, to));
    return [...reached].filter(arrives).map((to) => ({ from, to }));
  });
}

function seen({ from, to, tookMs }: Arrival, waitedMs: number): Observation {
  const place = { link: `${from}, ${to}` };
  if (tookMs === null) {
    const message = `a row written in ${from} was not in ${to} after ${duration(waitedMs)}`;
    return problem(message, "See `tandem status` and what `tandem run` says of this link.", place);
  }
  return { ...ok(`a row written in ${from} was in ${to} after ${Math.ceil(tookMs)} ms`, place), tookMs };
}
