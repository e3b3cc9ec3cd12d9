import { quoteIdent } from "../db/quote.ts";
import type { Check } from "./check.ts";
import { netCheck, nodeCheck, type Observation, problem, warning } from "./check.ts";

const versions = nodeCheck("encoding", "", async ({ facts }): Promise<Observation[]> => {
  const [made, used] = facts.collationVersions ?? [];
  if (made === used) return [];
  return [
    warning(
      `the locale's data changed (made with ${made}, in use is ${used}): indexes over text may be out of order`,
      `Run: reindex database ${quoteIdent(facts.database)}; alter database ${quoteIdent(facts.database)} refresh collation version;`,
    ),
  ];
});

const between = netCheck("encoding", "", async ({ nodes }) => {
  const [first, ...others] = nodes;
  if (!first) return [];
  return others.flatMap((other): Observation[] => {
    const link = `${first.name}, ${other.name}`;
    if (first.facts.encoding !== other.facts.encoding) {
      return [
        problem(
          `the databases have different encodings, ${first.facts.encoding} and ${other.facts.encoding}: texts that one cannot hold would be parked`,
          "Create the database anew with encoding UTF8 and load it from a dump.",
          { link },
        ),
      ];
    }
    if (first.facts.locale === other.facts.locale) return [];
    return [
      warning(
        `the databases sort differently: ${first.facts.locale}; ${other.facts.locale}`,
        'Nothing is lost by it; where order matters declare columns collate "C", or create the databases alike.',
        { link },
      ),
    ];
  });
});

/** Sees databases whose encoding or collation differ, and locale data that changed. Remedy: databases made alike. */
export const encoding: Check = {
  id: "encoding",
  title: "the databases encode and sort texts alike",
  run: async (context) => [
    ...(await versions.run(context)),
    ...(context.nodes.length > 1 ? await between.run(context) : []),
  ],
};
