import { describe, expect, test, vi } from "vitest";
import { conflicts, restoreConflict, showConflict } from "../../src/sidecar/conflicts.ts";
import { app, codeOf, type Links, linkedCluster, ways } from "../support/link.ts";
import { contentOf, type TestNode } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

/** A table whose values are easily spoilt, and a trigger that rewrites every row. */
const schema = `
  create table public.parent (id int primary key);
  create table public.t (id numeric primary key, v text unique, c char(6), n numeric, at timestamptz, f float8, b bytea, j json,
    twice numeric generated always as (n * 2) stored, counted int generated always as identity,
    parent int references public.parent);
  create function public.touch() returns trigger language plpgsql as $$
    begin new.at := clock_timestamp(); new.v := upper(new.v); new.n := coalesce(new.n, 0) + 1; return new; end $$;
  create trigger touch before insert or update on public.t for each row execute function public.touch();
  insert into public.parent values (1), (2);`;

const row = (node: TestNode, id: string) =>
  node.admin.value("select row(t.*)::text from t where id = $1", [id]).then((text) => text ?? null);

/** The id of the only conflict about a key. */
async function conflictOf(links: Links, key: string): Promise<string> {
  const { rows } = await conflicts(links.config);
  const found = rows.filter((each) => each.key === key);
  expect(found).toHaveLength(1);
  return found[0]?.id ?? "";
}

const values = "'x', 'ab ', 1.50, now(), 0.1, '\\x00ff', '{\"b\":1,  \"a\":2, \"a\":3}'";

for (const { way, options } of ways) {
  describe(`restoring what lost, in ${way}`, () => {
    test("C5: byte for byte over the row that won, and after it is gone, or has another key", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      const columns = "id, v, c, n, at, f, b, j";
      for (const i of [1, 2, 3, 4])
        await app(nodes.local, `insert into t (${columns}) values (${i}, ${values.replace("'x'", `'x${i}'`)})`);
      await links.sync();
      await app(nodes.local, "update t set v = v || ' lost', f = 'nan', c = 'cd', parent = 1");
      const lost = new Map<string, string | null>();
      for (const id of ["1", "2", "3"]) lost.set(id, await row(nodes.local, id));
      await app(
        nodes.external,
        `update t set v = 'won 1', n = 7 where id = 1; delete from t where id = 2; update t set id = 30 where id = 3;
         update t set v = 'won 4' where id = 4`,
      );
      await links.sync();
      await links.expectRest();
      await app(nodes.external, "delete from t where id = 4");
      await links.sync();
      lost.set("4", "gone");
      for (const id of ["1", "2", "3", "4"]) {
        const report = await restoreConflict(links.config, await conflictOf(links, id));
        expect(report).toMatchObject({ table: "t", key: id, changed: true, leftOut: [] });
      }
      await links.sync();
      await links.expectRest();
      for (const node of nodes) {
        for (const id of ["1", "2", "3"]) expect(await row(node, id)).toBe(lost.get(id));
        expect(await row(node, "4")).toContain("X4 LOST");
        expect(await node.admin.value("select count(*) from t")).toBe("5");
      }
      const again = await restoreConflict(links.config, await conflictOf(links, "1"));
      expect(again.changed).toBe(false);
      expect((await links.sync())["external local"]?.staged).toBe(0);
      expect((await conflicts(links.config)).rows.every(({ restoredAt }) => restoredAt !== null)).toBe(true);
    });

    test("C5: a deletion that lost is carried out", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into t (id, v) values (1, 'a')");
      await links.sync();
      await app(nodes.local, "delete from t");
      await app(nodes.external, "update t set v = 'b'");
      await links.sync();
      const id = await conflictOf(links, "1");
      expect(await showConflict(links.config, id)).toMatchObject({ kind: "update/delete", loser: { image: null } });
      await restoreConflict(links.config, id);
      await links.sync();
      await links.expectRest();
      for (const node of nodes) expect(await row(node, "1")).toBeNull();
    });

    test("C5 C7: what stands in the way is one clear error, and nothing is half done", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into t (id, v, parent) values (1, 'a', null), (2, 'b', null), (3, 'c', null)");
      await links.sync();
      await app(nodes.local, "update t set v = v || '1'; update t set parent = 2 where id = 2");
      await app(nodes.external, "update t set v = v || '2'");
      await links.sync();
      await app(nodes.external, "insert into t (id, v) values (4, 'a1'); delete from parent where id = 2");
      await app(
        nodes.external,
        `create function public.never() returns trigger language plpgsql as $$ begin if new.id = 3 then return null; end if; return new; end $$;
         create trigger never before insert or update on public.t for each row execute function public.never()`,
      );
      const before = await contentOf(nodes.external.superUrl, "public.t");
      const refused: Record<string, RegExp> = {
        1: /duplicate key value.*\(v\)=\(A1\) already exists/,
        2: /violates foreign key constraint.*parent/,
        3: /BEFORE trigger.*never/,
      };
      for (const [key, reason] of Object.entries(refused)) {
        const restoring = restoreConflict(links.config, await conflictOf(links, key));
        await expect(restoring).rejects.toThrow(reason);
        expect(await codeOf(restoring)).toBe("conflict_not_restored");
      }
      expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual(before);
      expect(await nodes.external.admin.query("select from tandem.inbound where applying is not null")).toEqual([]);
      await app(
        nodes.external,
        "delete from t where id = 4; insert into parent values (2); drop trigger never on public.t",
      );
      for (const key of ["1", "2", "3"]) await restoreConflict(links.config, await conflictOf(links, key));
      await links.sync();
      await links.expectRest();
      expect(await nodes.local.admin.value("select string_agg(v, ' ' order by id) from t")).toBe("A1 B1 C1");
    });

    test("C5: columns that came, went or were renamed since: what still fits is written, and the rest is named", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into t (id, v, c) values (1, 'a', 'old'), (2, 'b', 'old')");
      await links.sync();
      await app(nodes.local, "update t set v = v || ' lost', c = 'lost', f = 1, n = 5");
      await app(nodes.external, "update t set v = v || ' won' where id = 1; delete from t where id = 2");
      await links.sync();
      for (const node of nodes) {
        await app(
          node,
          "alter table t drop column f; alter table t rename column c to code; alter table t add column more text default 'more'",
        );
      }
      await app(nodes.external, "update t set more = 'kept', code = 'new' where id = 1");
      await links.sync();
      for (const key of ["1", "2"]) {
        const report = await restoreConflict(links.config, await conflictOf(links, key));
        expect(report).toMatchObject({ changed: true, leftOut: ["c", "f"] });
      }
      await links.sync();
      await links.expectRest();
      expect(await nodes.local.admin.query("select id, v, code, more from t order by id")).toEqual([
        { id: "1", v: "A LOST", code: "new   ", more: "kept" },
        { id: "2", v: "B LOST", code: null, more: "more" },
      ]);
    });

    test("C2 C5: an applier that has staged meanwhile reads its batch anew", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into t (id, v) values (1, 'a')");
      await links.sync();
      await app(nodes.local, "update t set v = 'lost'");
      await app(nodes.external, "update t set v = 'won'");
      await links.sync();
      await app(nodes.local, "insert into t (id, v) values (2, 'next')");
      const restored = links.roundAround("local", "external", async () =>
        restoreConflict(links.config, await conflictOf(links, "1")),
      );
      expect(await codeOf(restored)).toBe("position_mismatch");
      await links.sync();
      await links.expectRest();
      expect(await nodes.local.admin.value("select string_agg(v, ' ' order by id) from t")).toBe("LOST NEXT");
    });
  });
}

test("C5: conflicts are kept for the time of the configuration, and go with what is pruned", async () => {
  const [long, short] = [28 * 86_400_000, 3_600_000];
  for (const keepConflictsMs of [long, short]) {
    await using linked = await linkedCluster(2, { schema, keepConflictsMs });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into t (id, v) values (1, 'a')");
    await links.sync();
    await app(nodes.local, "update t set v = 'lost'");
    await app(nodes.external, "update t set v = 'won'");
    await links.sync();
    await nodes.external.admin.query("update tandem.conflict set detected_at = now() - interval '2 hours'");
    await nodes.external.admin.query("select tandem.prune()");
    expect(await links.conflicts("external")).toHaveLength(keepConflictsMs === long ? 1 : 0);
  }
});
