import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { expectEqual } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const touch = `create function public.touch() returns trigger language plpgsql as $$ begin new.updated_at := clock_timestamp(); return new; end $$;`;
const table = "create table public.t (id int primary key, v text, updated_at timestamptz, note text);";
const trigger =
  "create trigger touch before insert or update on public.t for each row execute function public.touch();";

for (const { way, options } of ways) {
  describe(`application triggers in ${way}`, () => {
    test("C3: BEFORE … SET updated_at = now() rewrites no applied row", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: `${touch}${table}${trigger}` });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 500) i");
      await links.sync();
      await app(
        nodes.local,
        "insert into public.t select i, 'v' from generate_series(501, 1000) i; update public.t set v = 'w' where id <= 250",
      );
      const done = await links.sync();
      expect(done["local external"]).toMatchObject({ staged: 750, applied: 750, parked: 0 });
      expect(done["external local"]?.staged).toBe(0);
      expect(await links.expectRest()).toBe(1000);
      await app(nodes.external, "update public.t set v = 'from there'");
      expect((await links.sync())["external local"]).toMatchObject({ staged: 1000, applied: 1000 });
      expect(await links.expectRest()).toBe(1000);
    });

    test("C3: a trigger that was created after Tandem is met by the next migrate", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: `${touch}${table}` });
      const { nodes, links } = linked;
      await links.sync();
      for (const node of nodes) await app(node, trigger);
      await links.migrate();
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 1000) i");
      expect((await links.sync())["local external"]).toMatchObject({ applied: 1000, parked: 0 });
      expect(await links.expectRest()).toBe(1000);
    });

    test("C6: a trigger on a partitioned table, a renamed column, and one whose name fires after all others", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `${touch} create table public.p (id int, "At" timestamptz, updated_at timestamptz, v text, primary key (id)) partition by range (id);
          create table public.p1 partition of public.p for values from (0) to (100); create table public.p2 partition of public.p for values from (100) to (1000);
          create trigger touch before insert or update on public.p for each row execute function public.touch();`,
      });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.local, "insert into public.p select i, now(), null, 'v' from generate_series(1, 200) i");
      expect((await links.sync())["local external"]).toMatchObject({ applied: 200, parked: 0 });
      await app(nodes.external, "update public.p set v = 'w' where id < 50");
      expect((await links.sync())["external local"]).toMatchObject({ applied: 49, parked: 0 });
      expect(await links.expectRest()).toBe(200);
    });

    test("C6: what a trigger drops, or gives another key, waits with the trigger's name", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.external,
        `create function public.drop_it() returns trigger language plpgsql as $$ begin if new.v = 'drop' then return null; end if; return new; end $$;
         create function public.other_key() returns trigger language plpgsql as $$ begin if new.v = 'key' then new.id := new.id + 1000; end if; return new; end $$;
         create trigger drops before insert or update on public.t for each row execute function public.drop_it();
         create trigger keys before insert or update on public.t for each row execute function public.other_key();
         alter table public.t enable always trigger drops; alter table public.t enable always trigger keys;`,
      );
      await links.migrate();
      await app(
        nodes.local,
        `insert into public.t select i, 'v' from generate_series(1, 100) i; update public.t set v = 'drop' where id in (10, 20);
         update public.t set v = 'key' where id = 30;`,
      );
      const done = await links.sync();
      expect(await links.parked("external")).toEqual(["t 10 refused", "t 20 refused", "t 30 refused"]);
      expect(done["local external"]?.applied).toBe(97);
      expect(await nodes.external.admin.value("select reason from tandem.parked where key = '10'")).toContain("drops");
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("97");
      await app(
        nodes.local,
        "update public.t set v = 'key' where id = 20; update public.t set v = 'v' where id in (10, 30)",
      );
      await links.sync();
      expect(await links.parked("external")).toEqual(["t 20 refused"]);
      await app(nodes.external, "drop trigger keys on public.t; drop trigger drops on public.t");
      await links.migrate();
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(100);
    });

    test("C3 C8: triggers that write other tracked tables and their own row end equal, without ping-pong", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `${table} create table public.audit (id uuid primary key default gen_random_uuid(), t int, v text);
          create table public.total (id int primary key, n int); insert into public.total values (1, 0);
          create function public.count_t() returns trigger language plpgsql as $$ begin
            insert into public.audit (t, v) values (new.id, new.v); update public.total set n = n + 1; return null; end $$;
          create function public.annotate() returns trigger language plpgsql as $$ begin
            if new.note is null then update public.t set note = 'noted ' || new.id where id = new.id; end if; return null; end $$;
          create trigger count_t after insert or update on public.t for each row execute function public.count_t();
          create trigger annotate after insert on public.t for each row execute function public.annotate();`,
      });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 20) i");
      await app(nodes.external, "insert into public.t select i, 'v' from generate_series(21, 40) i");
      await links.sync();
      await expectEqual(nodes);
      await app(nodes.local, "update public.t set v = 'w' where id between 15 and 25");
      await links.sync();
      await links.expectRest();
      expect(await nodes.local.admin.value("select count(*) from public.t where note = 'noted ' || id")).toBe("40");
    });

    test("C3: AFTER triggers of the application that fire always are captured as this node's changes", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `${table} create table public.audit (id bigserial primary key, node text default current_database(), t int);
          create function public.log_t() returns trigger language plpgsql as $$ begin insert into public.audit (t) values (new.id); return null; end $$;`,
        exclude: [],
      });
      const { nodes, links } = linked;
      await app(
        nodes.external,
        "create trigger log_t after insert on public.t for each row execute function public.log_t(); alter table public.t enable always trigger log_t",
      );
      await links.sync();
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 10) i");
      const done = await links.sync();
      expect(done["local external"]).toMatchObject({ applied: 10 });
      expect(done["external local"]).toMatchObject({ applied: 10 });
      expect(await links.expectRest()).toBe(20);
    });

    test("C6: a trigger finds what it names as it does in a session of the application's, by the role's search_path", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        settings: { ...options.settings, search_path: "crm" },
        schema: `create schema crm; create table crm.audit (n bigint, path text); ${table}
          create function crm.plus_one(int) returns int language sql as 'select $1 + 1';
          create function public.log_t() returns trigger language plpgsql as $$ begin
            insert into audit select plus_one(count(*)::int), current_setting('search_path') from public.t; return null; end $$;`,
      });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.external,
        "create trigger log_t after insert or update on public.t for each statement execute function public.log_t(); alter table public.t enable always trigger log_t",
      );
      await links.migrate();
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 10) i");
      expect((await links.sync())["local external"]).toMatchObject({ applied: 10, parked: 0 });
      await app(nodes.local, "update public.t set v = 'w' where id < 4; insert into public.t values (11, 'x')");
      expect((await links.sync())["local external"]).toMatchObject({ applied: 4, parked: 0 });
      const seen = await app(nodes.external, "select distinct path, max(n) over () as most from crm.audit");
      expect(seen).toEqual([{ path: "crm", most: "12" }]);
      // No key: it is nobody's but this node's.
      await app(nodes.external, "drop trigger log_t on public.t; delete from crm.audit");
      expect(await links.expectRest()).toBe(11);
    });

    test("C1: an application cannot hide its writes by setting Tandem's marks", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: `${touch}${table}${trigger}` });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.local,
        `begin; set local tandem.applying = 'on'; insert into public.t values (1, 'a');
         select set_config('tandem.applying', pg_current_xact_id()::text, true);
         insert into public.t values (2, 'b'); update public.t set v = 'c' where id = 1; commit;`,
      );
      await app(
        nodes.local,
        "set tandem.applying = 'on'; insert into public.t values (3, 'd'); delete from public.t where id = 2",
      );
      await links.sync();
      expect(await links.expectRest()).toBe(2);
    });
  });
}
