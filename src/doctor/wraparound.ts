import { type Check, nodeCheck, problem } from "./check.ts";

/** Sees a database that is about to take no more writes, for its oldest transactions were never frozen. Remedy: VACUUM. */
export const wraparound: Check = wraparoundFrom(1_500_000_000);

/** The check, from an age in transactions on. */
export function wraparoundFrom(limit: number): Check {
  return nodeCheck("wraparound", "no database is near the end of its transaction numbers", async (node) => {
    const [row] = await node.query(
      "select greatest(age(datfrozenxid), mxid_age(datminmxid))::text as age from pg_database where datname = current_database()",
    );
    const age = Number(row?.age);
    if (age < limit) return [];
    return [
      problem(
        `the oldest transaction not frozen is ${age.toLocaleString("en")} back: at about 2,100,000,000 the server takes no more writes`,
        "End old transactions, prepared ones and replication slots, then run: vacuum (freeze) on the database.",
      ),
    ];
  });
}
