import { type Check, notSeen, type Observation, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";
import { probeLock } from "./probe-lock.ts";

interface Seen {
  readonly node: DoctorNode;
  readonly left: boolean;
  readonly measuring: boolean;
}

// By the catalog: a role that may not use the schema sees it too.
const look = `select exists (
  select from pg_class where relnamespace = to_regnamespace('tandem') and relname = 'probe') as "left", exists (
  select from pg_locks where locktype = 'advisory' and objsubid = 1 and granted
    and database = (select oid from pg_database where datname = current_database())
    and (classid::bigint << 32) | objid::bigint = ${probeLock}) as measuring`;

/**
 * Sees the table of a round trip that was killed: it is captured and carried like any other, and nobody takes it away. Well while
 * another doctor measures. Remedy: the next round trip, or `tandem.close_probe()`.
 */
export const leftProbe: Check = {
  id: "left_probe",
  title: "no round trip has left its probe behind",
  async run({ nodes }) {
    const seen = await Promise.all(nodes.map(seeing));
    const measuring = seen.some((each) => "measuring" in each && each.measuring);
    return seen.flatMap((each): (Observation & { check: string })[] => {
      if (!("left" in each)) return [{ check: "left_probe", ...each }];
      if (!each.left || measuring) return [];
      const message = "a round trip that was killed has left its table tandem.probe behind";
      const remedy =
        "Run `tandem doctor --roundtrip`, or, in this node, `set lock_timeout = '5s'; select tandem.close_probe()`.";
      return [{ check: "left_probe", ...warning(message, remedy, { node: each.node.name }) }];
    });
  },
};

async function seeing(node: DoctorNode): Promise<Seen | Observation> {
  try {
    const [row] = await node.query(look);
    return { node, left: row?.left === "t", measuring: row?.measuring === "t" };
  } catch (error) {
    return notSeen(node, error);
  }
}
