import { nodeCheck, problem, warning } from "./check.ts";

const remedy =
  "Give it a primary key, or a unique index over not-null columns (not deferrable, not partial), or exclude it.";

/** Sees tables without a key: their rows cannot be told apart, so they are left out. Remedy: a key. */
export const key = nodeCheck("key", "every table has a key", async (node) =>
  (await node.tables())
    .filter(({ reasonCode }) => reasonCode === "no_key")
    .map(({ label: table, decision }) =>
      decision === "failed"
        ? problem("the configuration names this table, but it has no key", remedy, { table })
        : warning("has no key and is left out: it will differ between the nodes", remedy, { table }),
    ),
);
