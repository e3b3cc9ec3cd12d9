import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 180_000 });

/** Holds an applier, while `gate` is 1, after what a function of Tandem's has done. */
const gateAfter = (name: string, parameters: string, given: string, returns: string) => `
  alter function tandem.${name}(${parameters.replace(/p_\w+ /g, "")}) rename to ${name}_itself;
  create function tandem.${name}(${parameters}) returns ${returns} language plpgsql as $$
  declare
    v_result ${returns === "void" ? "text" : returns};
  begin
    select tandem.${name}_itself(${given}) into v_result;
    while pg_sequence_last_value('public.gate') = 1 loop
      perform pg_sleep(0.01);
    end loop;
    ${returns === "void" ? "" : "return v_result;"}
  end $$;`;
const gate =
  "create sequence public.gate; select setval('public.gate', 1); grant all on sequence public.gate to public;";
const held = "select true from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";

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
    // between the two it raises the floor
    await external.admin.query(
      gate + gateAfter("raise_floor", "p_peer_id integer, p_stamp timestamptz", "p_peer_id, p_stamp", "void"),
    );
    await app(local, "update t set v = 'b' where id = 3; insert into t values (2, 'local')");
    const round = links.round("local", "external");
    await waitFor(() => external.admin.value(held));
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

  test("C5: a row of a large set that is written by the application before the set is decided on as a whole is in conflict like any other", async () => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: "create table public.t (id int primary key, v text)",
    });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await app(local, "insert into t select i, repeat('a', 100) from generate_series(1, 20000) i");
    await links.sync();
    await app(local, "update t set v = 'local' || repeat('b', 100)");
    // rows of a set that is newer than all that is here are counted, and not locked
    await external.admin.query(
      gate + gateAfter("lock_rows", "p_plan jsonb, p_wait boolean", "p_plan, p_wait", "jsonb"),
    );
    const round = links.round("local", "external");
    await waitFor(() => external.admin.value(held));
    await app(external, "update t set v = 'external' where id in (5, 19000)");
    await external.admin.query("select setval('public.gate', 2)");
    await round;
    await links.sync();
    await links.expectRest();

    const kept = await external.admin.query(
      "select key, kind, incoming_values[2] as lost from tandem.conflict order by key",
    );
    const lost = `local${"b".repeat(100)}`;
    expect(kept).toEqual([
      { key: "{19000}", kind: "update/update", lost },
      { key: "{5}", kind: "update/update", lost },
    ]);
    expect(await local.admin.value("select count(*) from t where v = 'external'")).toBe("2");
  });
});
