import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 180_000 });

/** Every set counts as a large one. */
const allLarge = `create or replace function tandem.is_large(p_relation text) returns boolean language sql stable as 'select true'`;

/** Holds an applier, once, before the function of this name runs. */
const gateAt = (name: string, args: string, returns: string, values: string) => `create sequence public.gate;
  alter function tandem.${name}(${args}) rename to ${name}_itself;
  create function tandem.${name}(${args}) returns ${returns} language plpgsql as $$
  begin
    while pg_sequence_last_value('public.gate') = 1 loop
      perform pg_sleep(0.01);
    end loop;
    ${values};
  end $$;
  grant all on sequence public.gate to public;`;

const beforeDeciding = gateAt(
  "decide",
  "p_plan jsonb, p_known pg_snapshot, p_horizon timestamptz, p_copy boolean, p_source text",
  "void",
  "perform tandem.decide_itself(p_plan, p_known, p_horizon, p_copy, p_source)",
);

const beforeWriting = gateAt(
  "write_rows",
  "p_plans jsonb, p_where text",
  "jsonb",
  "return tandem.write_rows_itself(p_plans, p_where)",
);

const schema = "create table public.t (id int primary key, v text)";

async function largeCluster(options: object) {
  const linked = await linkedCluster(2, { ...options, schema });
  for (const { admin } of linked.nodes) await admin.query(allLarge);
  await app(linked.nodes.local, "insert into t values (1, 'a'), (3, 'a')");
  await linked.links.sync();
  return linked;
}

/** What each node keeps of images that lost, as {"kind", "lost"}. */
async function keptOf(nodes: Iterable<TestNode>, key: number) {
  const kept = [];
  for (const { admin } of nodes) {
    kept.push(
      ...(await admin.query(
        `select kind, case winner when 'local' then incoming_values else local_values end as lost from tandem.conflict where key = '{${key}}'`,
      )),
    );
  }
  return kept;
}

describe.each(ways)("a set that is looked at as a whole, in $way", ({ options }) => {
  test.each([
    ["decided on", beforeDeciding],
    ["written", beforeWriting],
  ])("C5: a key of which nothing was here, and that appears before it is %s, is in conflict", async (_, gate) => {
    await using linked = await largeCluster(options);
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await external.admin.query(gate);
    await external.admin.query("select setval('public.gate', 1)");
    await app(local, "insert into t select i, 'local' from generate_series(10, 30) i");
    const round = links.round("local", "external");
    await waitFor(() =>
      external.admin.value(
        "select true from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
      ),
    );
    await app(external, "insert into t values (20, 'external')");
    await external.admin.query("select setval('public.gate', 2)");
    await round;
    await links.sync();
    await links.expectRest();

    expect(await contentOf(local.superUrl, "public.t")).toContain("(20,external)");
    expect(await keptOf(nodes, 20)).toContainEqual({ kind: "insert/insert", lost: "{20,local}" });
  });

  test("C3: a batch that is the newest of its log, with several entries of a key, deletions, and more on the other side", async () => {
    await using linked = await largeCluster(options);
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await app(external, "insert into t values (2, 'external'); update t set v = 'external' where id = 1");
    await app(local, "insert into t select i, 'new' from generate_series(100, 200) i");
    await app(
      local,
      "update t set v = 'newer' where id % 2 = 0; delete from t where id % 5 = 0; insert into t values (150, 'back')",
    );
    await links.sync();
    await links.expectRest();
    await app(local, "update t set v = v || id");
    await app(external, "insert into t select i, 'there' from generate_series(300, 400) i");
    await links.sync();
    await links.expectRest();

    const content = await contentOf(external.superUrl, "public.t");
    expect(content).toEqual(await contentOf(local.superUrl, "public.t"));
    for (const row of ["(1,external1)", "(2,external2)", "(102,newer102)", "(150,back150)", "(300,there)"]) {
      expect(content).toContain(row);
    }
    expect(content.filter((row) => row.startsWith("(155,"))).toEqual([]);
  });

  test("C1: a set that is newer than all that is here, of which few rows are not here yet and few are as they were", async () => {
    await using linked = await largeCluster(options);
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await app(local, "insert into t select i, 'a' from generate_series(10, 1500) i; delete from t where id < 10");
    await links.sync();
    // Few are looked at before, and hardly these.
    for (const { admin } of nodes) {
      await admin.query(`create or replace function tandem.sample_step(p_rows bigint) returns bigint
        language sql immutable as 'select 500'`);
    }
    await app(
      local,
      `begin; update t set v = 'b' where id <> 1400; update t set v = v where id = 1400; insert into t values (701, 'new'), (9, 'new')
        on conflict (id) do update set v = 'again'; commit`,
    );
    const done = await links.sync();
    await links.expectRest();
    expect(await contentOf(external.superUrl, "public.t")).toEqual(await contentOf(local.superUrl, "public.t"));
    expect(
      await external.admin.value("select string_agg(v, ',' order by id) from t where id in (9, 700, 701, 1400)"),
    ).toBe("new,b,again,a");
    expect(done["local external"]).toMatchObject({ staged: 1492, parked: 0, superseded: 0 });
  });
});
