import { connect } from "../../dist/db/connect.js";
import { carry } from "../../dist/postgres/copy.js";
import { barePair, fill, table, tandemPair } from "../lib/pairs.mjs";
import { inTurns, median, timed } from "../lib/rounds.mjs";

/** Rows through this process from one server into the other's table of the same shape, and nothing else. */
async function pipe(pair) {
  const from = await connect({ name: "local", url: pair.url("local") }, "bench");
  const to = await connect({ name: "external", url: pair.url("external") }, "bench");
  try {
    await carry(from.copyOut("copy public.item to stdout"), to.copyIn("copy public.item from stdin"));
  } finally {
    await from.close();
    await to.close();
  }
}

export const measures = [
  {
    name: "first-copy",
    title: "first copy of 5 million rows, time over COPY … TO STDOUT | COPY … FROM STDIN",
    limit: { atMost: 1.5 },
    async run(context) {
      const rows = context.scaled(5_000_000);
      const bare = await barePair(context.servers, context.name("bare"), table());
      await bare.local.query(fill(1, rows));
      const ms = await inTurns(context.rounds, {
        pipe: async () => {
          await bare.external.query("truncate public.item; checkpoint");
          return await timed(() => pipe(bare));
        },
        // Each round a first meeting of its own: a link copies a table once.
        tandem: async (round) => {
          const name = context.name(`tandem_${round}`);
          const tandem = await tandemPair(context.servers, name, table(), { first: fill(1, rows), copy: false });
          await tandem.external.query("checkpoint");
          const ms = await timed(() => tandem.rounds(tandem.links.there));
          await tandem.close();
          await context.dropPair(name, tandem);
          return ms;
        },
      });
      return { rows, ms, ratio: median(ms.tandem) / median(ms.pipe) };
    },
  },
];
