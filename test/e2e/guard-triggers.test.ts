import { describe, expect, test, vi } from "vitest";
import { doctor } from "../../src/doctor/doctor.ts";
import { uninstall } from "../../src/install/uninstall.ts";
import { status } from "../../src/sidecar/status.ts";
import { dumpSchema } from "../sql/install-support.ts";
import { app, Links, linkedCluster, ways } from "../support/link.ts";
import { cluster, type TestNode } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 240_000 });

/** Triggers of every kind, and names that look like keywords. */
const everyKind = `
  create table public.t (id int primary key, v text, " FOR EACH ROW WHEN (" int, n int default 0);
  create table public.p (id int primary key, v text) partition by range (id);
  create table public.p1 partition of public.p for values from (0) to (100);
  create table public.p2 partition of public.p for values from (100) to (200);
  create function public.nothing() returns trigger language plpgsql as $$ begin return new; end $$;
  create function public.never() returns trigger language plpgsql as $$ begin return null; end $$;
  create trigger plain after insert or update or delete on public.t for each row execute function public.nothing();
  create trigger arguments after insert on public.t for each row execute function public.nothing('x FOR EACH ROW WHEN (', 'it''s', e'back\\\\slash');
  create trigger " FOR EACH STATEMENT " before update of v, " FOR EACH ROW WHEN (" on public.t for each row execute function public.nothing();
  create trigger conditional after update on public.t for each row when (old.v is distinct from new.v and (new.n > 3 or new.v = ' EXECUTE FUNCTION ')) execute function public.nothing();
  create trigger conditional_or after update on public.t for each row when (new.n > 3 or new.n < -3) execute function public.nothing();
  create trigger boolean_only after update on public.t for each row when (new.n is null) execute function public.nothing();
  create trigger statement after insert on public.t for each statement execute function public.never();
  create trigger transition after update on public.t referencing old table as o new table as " FOR EACH ROW " for each statement execute function public.never();
  create constraint trigger checking after insert or update on public.t deferrable initially deferred for each row when (new.n = 9) execute function public.never();
  create trigger sleeping before insert on public.t for each row execute function public.never();
  alter table public.t disable trigger sleeping;
  create trigger always after insert on public.t for each row execute function public.nothing();
  alter table public.t enable always trigger always;
  create trigger for_replicas after insert on public.t for each row execute function public.nothing();
  alter table public.t enable replica trigger for_replicas;
  create trigger emptied after truncate on public.t for each statement execute function public.never();
  comment on trigger conditional on public.t is 'a comment that stays';
  create trigger cloned after insert or update on public.p for each row when (new.v <> '') execute function public.nothing();
  alter table public.p2 disable trigger cloned;
  create trigger of_one_leaf after insert on public.p1 for each row execute function public.nothing();`;

const guarded = async (node: TestNode) =>
  (
    await node.admin.query(
      "select tgname from pg_trigger where not tgisinternal and tgparentid = 0 and pg_get_triggerdef(oid) like '%tandem.applying%' order by tgname collate \"C\"",
    )
  ).map(({ tgname }) => tgname);

describe.each([
  ["an ordinary owner", true],
  ["a superuser", false],
])("as %s", (_, owner) => {
  test("C9: guards are put on triggers of every kind, and undoing them by the flag or by uninstall leaves the schema as it was", async () => {
    await using nodes = await cluster(2, { owner });
    await using links = new Links(nodes, {});
    const node = nodes.local;
    await app(node, everyKind);
    const before = await dumpSchema(node.url);
    await links.migrate();
    const armed = await dumpSchema(node.url);
    const report = await links.migrate({ triggers: "guard" });
    const eligible = [
      " FOR EACH STATEMENT ",
      "always",
      "arguments",
      "boolean_only",
      "checking",
      "cloned",
      "conditional",
      "conditional_or",
      "of_one_leaf",
      "plain",
      "sleeping",
      "statement",
      "transition",
    ];
    expect(await guarded(node)).toEqual(eligible);
    const changed = report.nodes[0]?.tables.flatMap(({ triggers }) => triggers) ?? [];
    expect(changed.sort()).toEqual(eligible);
    const enabled = await node.admin.query(
      "select tgrelid::regclass::text as rel, tgenabled as state from pg_trigger where tgname in ('sleeping', 'always', 'cloned') order by 1, 2",
    );
    expect(enabled.map(({ rel, state }) => `${rel} ${state}`)).toEqual(["p O", "p1 O", "p2 D", "t A", "t D"]);
    // Again, and without the flag: nothing to do.
    expect((await links.migrate({ triggers: "guard" })).nodes[0]?.changed).toBe(false);
    expect((await links.migrate()).nodes[0]?.changed).toBe(false);
    expect(await guarded(node)).toEqual(eligible);

    await links.migrate({ triggers: "leave" });
    expect(await dumpSchema(node.url)).toBe(armed);
    await links.migrate({ triggers: "guard" });
    await uninstall(links.config);
    expect(await dumpSchema(node.url)).toBe(before);
  });
});

test("C9: a guard is found and taken off whatever was renamed or made anew since", async () => {
  await using nodes = await cluster(2, { owner: true });
  await using links = new Links(nodes, {});
  const node = nodes.local;
  await app(node, everyKind);
  await links.migrate({ triggers: "guard" });
  const renamed = `alter table t rename column n to number; alter table t rename to things; alter function nothing() rename to nothing_much;
    alter trigger plain on things rename to simple; drop trigger boolean_only on things;
    create trigger boolean_only after update on things for each row when (new.number is null) execute function nothing_much()`;
  await app(node, renamed);
  await links.migrate({ triggers: "guard" });
  expect(await guarded(node)).toContain("boolean_only");
  expect(await guarded(node)).toContain("simple");
  await uninstall(links.config);
  expect(await guarded(node)).toEqual([]);
  await using other = await cluster(1, { owner: true });
  await app(other.local, `${everyKind} ${renamed}`);
  const plain = async (each: TestNode) => (await dumpSchema(each.url)).replaceAll(each.owner ?? "\0", "owner");
  expect(await plain(node)).toBe(await plain(other.local));
});

/** Rows that count, an audit by a trigger, a child that goes with its parent, and a trigger that swallows. */
const counting = `
  create table public.t (id int primary key, v text, updated_at timestamptz);
  create table public.child (id int primary key, t int references public.t on delete cascade);
  create table public.audit (id uuid primary key default gen_random_uuid(), what text);
  create table public.total (id int primary key, n int); insert into public.total values (1, 0);
  create function public.touch() returns trigger language plpgsql as $$ begin new.updated_at := clock_timestamp(); return new; end $$;
  create function public.log_it() returns trigger language plpgsql as $$ begin
    insert into public.audit (what) values (tg_op || ' ' || tg_table_name || ' ' || coalesce(new.id, old.id)); return null; end $$;
  create function public.count_it() returns trigger language plpgsql as $$ begin update public.total set n = n + 1; return null; end $$;
  create function public.swallow() returns trigger language plpgsql as $$ begin if new.v = 'gone' then return null; end if; return new; end $$;
  create trigger touch before insert or update on public.t for each row execute function public.touch();
  create trigger log_it after insert or update or delete on public.t for each row execute function public.log_it();
  create trigger count_it after insert on public.t for each statement execute function public.count_it();
  create trigger log_it after delete on public.child for each row execute function public.log_it();`;

const audit = (node: TestNode) =>
  node.admin.query("select what from public.audit order by what").then((rows) => rows.map(({ what }) => what));

for (const { way, options } of ways) {
  describe(`guarded triggers in ${way}`, () => {
    const tables = [
      { name: "public.*", conflict: "newest" as const, updatedAt: null },
      { name: "public.t", conflict: "newest" as const, updatedAt: null, triggers: "guard" as const },
      { name: "public.child", conflict: "newest" as const, updatedAt: null, triggers: "guard" as const },
    ];

    test("C3 C8: what they wrote at the source comes once; what this node causes fires them", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: counting, tables });
      const { nodes, links } = linked;
      await app(
        nodes.external,
        "create trigger swallow before insert or update on public.t for each row execute function public.swallow()",
      );
      await links.migrate();
      await links.sync();
      await app(nodes.local, "insert into t values (1, 'a'), (2, 'gone'); insert into child values (1, 1)");
      const done = await links.sync();
      expect(done["external local"]?.staged).toBe(0);
      expect(await links.expectRest()).toBe(6);
      for (const node of nodes) {
        expect(await audit(node)).toEqual(["INSERT t 1", "INSERT t 2"]);
        expect(await node.admin.value("select n from total")).toBe("1");
      }
      // A row that only external has goes with its parent: a change of external's, which its trigger sees.
      await app(nodes.external, "insert into child values (2, 1)");
      await app(nodes.local, "delete from t where id = 1");
      await links.sync();
      await links.expectRest();
      const replica = way === "replica role";
      expect(await audit(nodes.local)).toEqual(
        ["DELETE child 1", replica ? "" : "DELETE child 2", "DELETE t 1", "INSERT t 1", "INSERT t 2"].filter(Boolean),
      );
    });

    test("C1: an application's own writes fire them, whatever it sets; status and doctor name what nobody has chosen", async () => {
      const undecided = tables.map((rule) => ({ ...rule, triggers: undefined }));
      await using linked = await linkedCluster(2, { ...options, schema: counting, tables: undecided });
      const { nodes, links } = linked;
      await links.sync();
      const owner = way === "ordinary owner";
      const named = async () =>
        (await status(links.config)).triggers.map(({ table, trigger }) => `${table} ${trigger}`);
      const warned = async () =>
        (await doctor(links.config)).findings.filter(
          ({ check, severity }) => check === "triggers" && severity === "warning",
        ).length;
      const all = ["child log_it", "t count_it", "t log_it"];
      expect(await named()).toEqual(owner ? [...all, ...all] : []);
      expect(await warned()).toBe(owner ? 6 : 0);
      await links.migrate({ triggers: "guard" });
      expect(await named()).toEqual([]);
      expect(await warned()).toBe(0);
      await app(nodes.local, "insert into t values (1, 'a')");
      await app(nodes.local, "set tandem.applying = 'on'; insert into t values (2, 'a')");
      await app(nodes.local, "begin; set local tandem.applying = ''; insert into t values (3, 'a'); commit");
      expect(await audit(nodes.local)).toEqual(["INSERT t 1", "INSERT t 2", "INSERT t 3"]);
      await links.sync();
      await links.expectRest();
    });
  });
}

test("the file's own choice for a table is stronger than the flag", async () => {
  const tables = [
    { name: "public.*", conflict: "newest" as const, updatedAt: null },
    { name: "public.child", conflict: "newest" as const, updatedAt: null, triggers: "leave" as const },
  ];
  await using linked = await linkedCluster(2, { owner: true, schema: counting, tables });
  await linked.links.migrate({ triggers: "guard" });
  expect(await guarded(linked.nodes.local)).toEqual(["count_it", "log_it", "touch"]);
  expect((await status(linked.links.config)).triggers).toEqual([]);
});
