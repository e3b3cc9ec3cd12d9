import { duration } from "../sidecar/words.ts";
import { netCheck, type Observation, ok, problem, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";
import { type Arrival, longestTripMs, sendProbes } from "./probe.ts";

/** The bytes of "tandemRT" as a number: who holds this lock in the first node measures. */
const probeLock = "8386105358618022484";

/**
 * Writes a row in each node, through real capture, and times how long it takes until it is seen in the others, which only
 * a running sidecar brings about. Sees links that nobody works on, or that do not work. Remedy: `tandem run`.
 */
export const roundtrip = netCheck("roundtrip", "a row written in one node arrives in the others", async (context) => {
  const nodes = context.nodes.filter(({ facts }) => facts.installed === "usable");
  const [first] = nodes;
  if (!first || nodes.length < 2) {
    return [problem("there are no two nodes to measure between", "Mend what stands above; then run `tandem migrate`.")];
  }
  const findings = await withoutSidecar(nodes);
  const idle = new Set(findings.map(({ node }) => node));
  const trips = nodes.flatMap((from) =>
    nodes.filter((to) => to !== from && !idle.has(to.name)).map((to) => ({ from: from.name, to: to.name })),
  );
  if (trips.length === 0) return findings;
  return await first.look(async (tx) => {
    const [row] = await tx.query(`select pg_try_advisory_xact_lock(${probeLock}) as got`);
    if (row?.got !== "t") return [...findings, warning("another doctor is measuring a round trip", "Try again later.")];
    const arrivals = await sendProbes(nodes, trips, context);
    return [...findings, ...arrivals.map((arrival) => seen(arrival, longestTripMs(context.config.sync.intervalMs)))];
  });
});

async function withoutSidecar(nodes: readonly DoctorNode[]): Promise<Observation[]> {
  const findings: Observation[] = [];
  for (const node of nodes) {
    const [row] = await node.query("select exists (select from tandem.sidecar where working) as works");
    if (row?.works === "t") continue;
    const message = "no sidecar works on the links into this node: a row written elsewhere would not arrive";
    findings.push(problem(message, "Start `tandem run`.", { node: node.name }));
  }
  return findings;
}

function seen({ from, to, tookMs }: Arrival, waitedMs: number): Observation {
  const place = { link: `${from}, ${to}` };
  if (tookMs === null) {
    const message = `a row written in ${from} was not in ${to} after ${duration(waitedMs)}`;
    return problem(message, "See `tandem status` and what `tandem run` says of this link.", place);
  }
  return { ...ok(`a row written in ${from} was in ${to} after ${Math.ceil(tookMs)} ms`, place), tookMs };
}
