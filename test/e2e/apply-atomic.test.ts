import { describe, expect, test } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { openClient, sql } from "../support/pg.ts";
import { seeded, seeds } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";

const accounts = `create table public.cash (id int primary key, amount int not null);
  create table public.bank (id int primary key, amount int not null);
  create table public.transfer (id int primary key, cash int references public.cash, bank int references public.bank, amount int not null)`;

// The two sums belong together in every transaction, and so does the number of transfers with what they moved.
const torn = `select c.s as cash, b.s as bank, t.moved
  from (select sum(amount) as s from public.cash) c, (select sum(amount) as s from public.bank) b,
    (select coalesce(sum(amount), 0) as moved from public.transfer) t
  where c.s + b.s <> 20000 or c.s <> 10000 - t.moved`;

describe.each(ways)("transactions in $way", ({ options }) => {
  test.each(seeds(1))(
    "C4: a reader of the target never sees half of a transaction where no batch is cut, seed %i",
    async (seed) => {
      const random = seeded(seed);
      await using linked = await linkedCluster(2, { ...options, schema: accounts });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        `insert into public.cash select i, 1000 from generate_series(1, 10) i; insert into public.bank select i, 1000 from generate_series(1, 10) i`,
      );
      await links.sync();

      const reader = await openClient(nodes.external.superUrl);
      const seen = new Set<string>();
      let looking = true;
      const looks = (async () => {
        while (looking) {
          expect(await sql(reader, torn)).toEqual([]);
          const [state] = await sql(reader, "select coalesce(max(id), 0)::text as last from public.transfer");
          seen.add(state?.last ?? "");
        }
      })();
      try {
        for (let id = 1; id <= 40; id++) {
          const [cash, bank, amount] = [random.int(1, 10), random.int(1, 10), random.int(1, 50)];
          const steps = random.shuffle([
            `update public.cash set amount = amount - ${amount} where id = ${cash}`,
            `update public.bank set amount = amount + ${amount} where id = ${bank}`,
            `insert into public.transfer values (${id}, ${cash}, ${bank}, ${amount})`,
          ]);
          await app(nodes.local, `begin; ${steps.join("; ")}; commit`);
          if (!random.chance(0.3)) continue;
          await links.catchUp("local", "external");
          await waitFor(() => seen.has(`${id}`), { every: 5, what: `the reader to see transfer ${id}` });
        }
        await links.sync();
        await waitFor(() => seen.has("40"), { what: "the reader to see the last transfer" });
      } finally {
        looking = false;
        await looks;
      }
      expect(seen.size).toBeGreaterThan(5);
      await links.expectRest();
    },
  );
});
