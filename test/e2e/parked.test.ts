import { describe, expect, test, vi } from "vitest";
import { dropParked, dropped, parked } from "../../src/sidecar/parked.ts";
import { status } from "../../src/sidecar/status.ts";
import { verify } from "../../src/verify/verify.ts";
import { app, codeOf, type Links, linkedCluster, ways } from "../support/link.ts";
import { contentOf, openClient, type TestNode } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 300_000 });

const schema = `
  create domain public.code as text;
  create table public.checked (id int primary key, v text);
  create table public.watched (id int primary key, v text);
  create table public.domained (id int primary key, v public.code);
  create table public.parted (id int primary key, v text) partition by range (id);
  create table public.parted_0 partition of public.parted for values from (0) to (100);
  create table public.child (id int primary key, checked int not null references public.checked);
  create table public.grandchild (id int primary key, child int not null references public.child);`;

/** What external refuses and local does not. */
const refusals = `
  alter table checked add constraint no_bad check (v <> 'bad');
  create function public.complain() returns trigger language plpgsql as $$ begin if new.v = 'bad' then raise exception 'not today'; end if; return new; end $$;
  create trigger complain before insert or update on watched for each row execute function public.complain();
  alter table watched enable always trigger complain;
  alter domain code add constraint no_bad check (value <> 'bad');`;
const pardons = `
  alter table checked drop constraint no_bad; drop trigger complain on watched; alter domain code drop constraint no_bad;
  create table public.parted_1 partition of public.parted for values from (100) to (200);`;

const parkedLines = async (node: TestNode) =>
  (
    await node.admin.query(`select concat_ws(' ', "table", key, kind, reason) as line from tandem.parked order by 1`)
  ).map(({ line }) => line ?? "");

const hasten = (node: TestNode) => node.admin.query("select tandem.retry_parked(null)");

for (const { way, options } of ways) {
  describe(`parking in ${way}`, () => {
    test("C6: every kind of refusal, a locked row and those that wait, while the rest of the batch is applied", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into checked values (1, 'old')");
      await links.sync();
      await app(nodes.external, refusals);
      await app(nodes.local, "create table public.parted_1 partition of public.parted for values from (100) to (200)");
      const application = await openClient(nodes.external.superUrl);
      await application.query("begin; select from checked where id = 1 for update");
      await app(
        nodes.local,
        `begin; update checked set v = 'new' where id = 1;
         insert into checked select i, case when i = 50 then 'bad' else 'v' end from generate_series(2, 100) i;
         insert into watched select i, case when i = 50 then 'bad' else 'v' end from generate_series(1, 100) i;
         insert into domained select i, case when i = 50 then 'bad' else 'v' end from generate_series(1, 100) i;
         insert into parted select i, 'v' from generate_series(1, 100) i;
         insert into child select i, i from generate_series(1, 100) i where i % 10 = 0;
         insert into grandchild select i, i from generate_series(1, 100) i where i % 10 = 0; commit`,
      );
      await links.round("local", "external");
      const lines = await parkedLines(nodes.external);
      const expected = [
        /^checked 1 busy the row is locked by another session$/,
        /^checked 50 refused .*violates check constraint "no_bad"/,
        /^child 50 waits .*(is not there|is not present|violates foreign key)/,
        /^domained 50 refused .*domain (public\.)?code violates check constraint/,
        /^grandchild 50 waits .*(is not there|is not present|violates foreign key)/,
        /^parted 100 refused .*no partition of relation "parted" found/,
        /^watched 50 refused not today/,
      ];
      expect(lines).toEqual(expected.map((line) => expect.stringMatching(line)));
      const counts = "select count(*) from";
      for (const [table, rows] of Object.entries({
        checked: 99,
        watched: 99,
        domained: 99,
        parted: 99,
        child: 9,
        grandchild: 9,
      }))
        expect({ [table]: await nodes.external.admin.value(`${counts} ${table}`) }).toEqual({ [table]: String(rows) });

      await application.query("commit");
      // The rows are fetched anew: one is mended at its source, one is gone there.
      await app(nodes.local, "update watched set v = 'good' where id = 50; delete from domained where id = 50");
      await hasten(nodes.external);
      await links.sync();
      expect((await parkedLines(nodes.external)).map((line) => line.split(" ", 3).join(" "))).toEqual([
        "checked 50 refused",
        "child 50 waits",
        "grandchild 50 waits",
        "parted 100 refused",
      ]);
      await app(nodes.external, pardons);
      await links.migrate();
      await hasten(nodes.external);
      await links.sync();
      expect(await links.expectRest()).toBe(100 * 4 - 1 + 20);
    });

    test("C6: tried again after pauses that double, not before; a change of the row begins anew", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.external, refusals);
      await app(nodes.local, "insert into checked values (1, 'bad')");
      const tries = async () => {
        const [row] = await nodes.external.admin.query(
          "select attempts, round(extract(epoch from next_try_at - tried_at))::int as pause from tandem.parked",
        );
        return `${row?.attempts} ${row?.pause}`;
      };
      await links.round("local", "external");
      const seen = [await tries()];
      for (let i = 0; i < 4; i++) {
        await hasten(nodes.external);
        await links.round("local", "external");
        seen.push(await tries());
        // Its time has not come, and does not come before the next look, however slow the machine: nothing is tried.
        await nodes.external.admin.query(
          "update tandem.parked_change set next_try_at = next_try_at + interval '1 hour'",
        );
        const before = await tries();
        await links.round("local", "external");
        expect(await tries()).toBe(before);
      }
      expect(seen).toEqual(["1 0", "2 2", "3 4", "4 8", "5 16"]);
      await nodes.external.admin.query("update tandem.parked_change set attempts = 1000");
      await hasten(nodes.external);
      await links.round("local", "external");
      expect(await tries()).toBe("1001 3600");
      await app(nodes.local, "update checked set v = 'bad' where id = 1");
      await links.round("local", "external");
      expect((await tries()).split(" ")[0]).toBe("1");
    });

    test("C6: what waits for another row is tried as soon as a batch has brought something it may wait for", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.external, refusals);
      await app(
        nodes.local,
        "insert into checked values (1, 'bad'); insert into child values (1, 1); insert into grandchild values (1, 1)",
      );
      await links.sync();
      expect(await links.parked("external")).toEqual(["checked 1 refused", "child 1 waits", "grandchild 1 waits"]);
      await nodes.external.admin.query("update tandem.parked_change set next_try_at = now() + interval '1 day'");
      await app(nodes.local, "insert into watched values (1, 'v')");
      await links.sync();
      expect(await links.parked("external")).toHaveLength(3);
      await app(nodes.local, "update checked set v = 'good'");
      await links.sync();
      await links.expectRest();
    });

    test("C5 C11: a row that is dropped differs, and status and verify say so, until it changes again", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into checked values (1, 'old'), (2, 'old'), (3, 'old')");
      await links.sync();
      await app(nodes.external, refusals);
      await app(nodes.local, "update checked set v = 'bad'");
      await links.sync();
      await drop(links, "1", "2", "3");
      expect(await links.parked("external")).toEqual([]);
      expect(await nodes.local.admin.query("select from tandem.outbound_parked")).toEqual([]);
      const differing = async () => {
        const { problems } = await status(links.config);
        return problems.filter(({ kind }) => kind === "dropped").map(({ message }) => message);
      };
      expect(await differing()).toEqual(["3 rows from local were dropped in external, and differ until changed again"]);
      const compared = await verify(links.config);
      expect(compared.identical).toBe(false);
      const history = (await dropped(links.config)).rows;
      expect(history).toHaveLength(3);
      expect(history[0]).toMatchObject({
        node: "external",
        peer: "local",
        table: "checked",
        reason: "not ours",
        refusal: expect.stringContaining("no_bad"),
        image: expect.stringMatching(/^id = '\d', v = 'bad'$/),
        differs: true,
      });
      // A later round does not bring them back, nor does what is pruned make status forget.
      await links.sync();
      expect(await links.parked("external")).toEqual([]);
      await app(nodes.local, "update checked set v = 'good' where id = 1");
      await app(nodes.external, "update checked set v = 'from there' where id = 2; delete from checked where id = 3");
      await links.sync();
      expect(await differing()).toEqual([]);
      await links.expectRest();
      expect(await contentOf(nodes.local.superUrl, "public.checked")).toEqual(["(1,good)", '(2,"from there")']);
      for (const node of nodes) await node.admin.query("select tandem.settle_dropped()");
      await nodes.external.admin.query(`truncate tandem_log."public.checked"`);
      expect(await differing()).toEqual([]);
      expect((await dropped(links.config)).rows.map(({ differs }) => differs)).toEqual([false, false, false]);
    });
  });
}

async function drop(links: Links, ...keys: string[]): Promise<void> {
  const { rows } = await parked(links.config);
  for (const key of keys) {
    const id = rows.find((row) => row.key === key)?.id ?? 0;
    expect(await dropParked(links.config, id, { reason: "not ours" })).toMatchObject({ key, imageKept: true });
    expect(await codeOf(dropParked(links.config, id, { reason: "again" }))).toBe("not_found");
  }
  expect(await codeOf(dropParked(links.config, 1, { reason: " " }))).toBe("usage");
}

test("C6: one bad row among 100,000 costs one search by halves, not 100,000 statements", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await links.sync();
  // A sequence gives back nothing with a savepoint: it counts every statement that was tried.
  await app(
    nodes.external,
    `${refusals} create schema counting; create sequence counting.statements;
     create function counting.count() returns trigger language plpgsql as $$ begin perform nextval('counting.statements'); return null; end $$;
     create trigger counts before insert or update on checked for each statement execute function counting.count();
     alter table checked enable always trigger counts`,
  );
  await app(
    nodes.local,
    "insert into checked select i, case when i = 67890 then 'bad' else 'v' end from generate_series(1, 100000) i",
  );
  await links.round("local", "external");
  expect(await links.parked("external")).toEqual(["checked 67890 refused"]);
  expect(await nodes.external.admin.value("select count(*) from checked")).toBe("99999");
  // Seventeen halvings, the pieces between, and what each cut by the lock-time budget begins anew.
  const statements = Number(await nodes.external.admin.value("select last_value from counting.statements"));
  expect(statements).toBeGreaterThan(1);
  expect(statements).toBeLessThan(17 * 8);
});
