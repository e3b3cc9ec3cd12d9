import { verify } from "../../dist/verify/verify.js";
import { fill, table, tandemPair } from "../lib/pairs.mjs";
import { inTurns, median, timed } from "../lib/rounds.mjs";

export const measures = [
  {
    name: "verify",
    title: "verify of 5 million rows on both sides, time over sum(hashtext(t::text)) on one",
    limit: { atMost: 1.5 },
    async run(context) {
      const rows = context.scaled(5_000_000);
      const pair = await tandemPair(context.servers, context.name("tandem"), table(), { first: fill(1, rows) });
      for (const client of [pair.local, pair.external]) await client.query("vacuum analyze public.item");
      const ms = await inTurns(context.rounds, {
        hashtext: () => timed(() => pair.local.query("select sum(hashtext(t::text)) from public.item t")),
        tandem: () =>
          timed(async () => {
            const report = await verify(pair.config);
            if (!report.identical) throw new Error("the two differ");
          }),
      });
      await pair.close();
      return { rows, ms, ratio: median(ms.tandem) / median(ms.hashtext) };
    },
  },
];
