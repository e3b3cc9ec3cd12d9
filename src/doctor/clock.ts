import type { Clock } from "../base/time.ts";
import { netCheck, type Observation, ok, problem, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

const samples = 5;
const noticeableMs = 1_000;

/** By how much the server's clock is ahead of ours, and how far that may be wrong. */
interface Offset {
  readonly node: string;
  readonly ms: number;
  readonly within: number;
}

/** The server's answer belongs to the middle of the round trip; the shortest of several is the truest. */
async function offsetOf(node: DoctorNode, clock: Clock): Promise<Offset> {
  const trips = await node.look(async (tx) => {
    const seen: Offset[] = [];
    for (let i = 0; i < samples; i++) {
      const before = clock.now();
      const [row] = await tx.query("select (extract(epoch from clock_timestamp()) * 1000)::text as ms");
      const after = clock.now();
      seen.push({ node: node.name, ms: Number(row?.ms) - (before + after) / 2, within: (after - before) / 2 });
    }
    return seen;
  });
  return trips.reduce((best, trip) => (trip.within < best.within ? trip : best));
}

/** Sees clocks that differ between nodes; the newer change wins, by these clocks. Remedy: time synchronisation. */
export const clock = netCheck("clock", "the nodes' clocks agree", async ({ nodes, clock: ours, config }) => {
  // One after the other: answers that wait for each other in this process would look late.
  const offsets: Offset[] = [];
  for (const node of nodes) offsets.push(await offsetOf(node, ours));
  const sorted = offsets.toSorted((a, b) => a.ms - b.ms);
  const [slow, fast] = [sorted[0], sorted.at(-1)];
  return slow && fast ? [seen(slow, fast, config.sync.maxSkewMs)] : [];
});

function seen(slow: Offset, fast: Offset, maxSkewMs: number): Observation {
  const skew = fast.ms - slow.ms;
  const within = slow.within + fast.within;
  const words = `the clock of ${fast.node} is ${amount(skew)} ahead of ${slow.node}'s (measured to ${amount(within)})`;
  const place = { link: `${slow.node}, ${fast.node}` };
  if (skew - within > maxSkewMs) {
    return problem(
      `${words}: more than max_skew (${amount(maxSkewMs)}), so its changes are parked`,
      "Set the clock of the server that is wrong (NTP, chrony).",
      place,
    );
  }
  if (skew - within > noticeableMs) {
    return warning(
      `${words}: of two changes at about the same time the wrong one may win`,
      "See to time synchronisation (NTP, chrony) on both servers.",
      place,
    );
  }
  return ok(words, place);
}

function amount(ms: number): string {
  return ms < 1_000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
