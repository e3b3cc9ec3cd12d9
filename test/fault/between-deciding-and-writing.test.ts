import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 180_000 });

/** Holds an applier, once, after it has decided and before it writes: between these two it raises the floor. */
const gate = `create sequence public.gate;
  alter function tandem.raise_floor(integer, timestamptz) rename to raise_floor_itself;
  create function tandem.raise_floor(p_peer_id integer, p_stamp timestamptz) returns void language plpgsql as $$
  begin
    perform tandem.raise_floor_itself(p_peer_id, p_stamp);
    while pg_sequence_last_value('public.gate') = 1 loop
      perform pg_sleep(0.01);
    end loop;
  end $$;
  grant all on sequence public.gate to public;`;

describe.each(ways)("what is committed between deciding and writing, in $way", ({ options }) => {
  test.each([
    ["insert into t values (2, 'external')", "insert/insert"],
    ["delete from t where id = 1; insert into t values (2, 'external')", "insert/insert"],
  ])("C5: a row that appears then is in conflict like any other: %s", async (statement, kind) => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: "create table public.t (id int primary key, v text)",
    });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await app(local, "insert into t values (1, 'a'), (3, 'a')");
    await links.sync();
    await external.admin.query(gate);
    await external.admin.query("select setval('public.gate', 1)");
    await app(local, "update t set v = 'b' where id = 3; insert into t values (2, 'local')");
    const round = links.round("local", "external");
    await waitFor(() =>
      external.admin.value(
        "select true from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
      ),
    );
    await app(external, statement);
    await external.admin.query("select setval('public.gate', 2)");
    await round;
    await links.sync();
    await links.expectRest();

    expect(await contentOf(local.superUrl, "public.t")).toContain("(2,external)");
    const kept = [];
    for (const { admin } of nodes) {
      kept.push(
        ...(await admin.query(
          "select kind, case winner when 'local' then incoming_values else local_values end as lost from tandem.conflict where key = '{2}'",
        )),
      );
    }
    expect(kept).toContainEqual({ kind, lost: "{2,local}" });
  });
});
