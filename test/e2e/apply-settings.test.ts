import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { openClient, type TestNode } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const odd: Record<string, string> = {
  default_transaction_isolation: "serializable",
  default_transaction_read_only: "on",
  default_transaction_deferrable: "on",
  // Enough to greet on a busy machine, too little to apply a batch.
  statement_timeout: "30ms",
  lock_timeout: "1ms",
  idle_in_transaction_session_timeout: "1ms",
  search_path: "shadow, pg_catalog",
  row_security: "on",
  session_replication_role: "origin",
  check_function_bodies: "off",
  jit: "on",
  enable_hashjoin: "off",
  max_parallel_workers_per_gather: "0",
  default_table_access_method: "heap",
  synchronous_commit: "off",
  constraint_exclusion: "off",
};

const shadow = `
  create schema shadow;
  create function shadow.now() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
  create function shadow.clock_timestamp() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
  create function shadow.pg_current_xact_id() returns xid8 language sql as $$ select '1'::xid8 $$;
  create function shadow.format(text, variadic text[]) returns text language sql as $$ select 'shadow' $$;
  create function shadow.coalesce_all(text) returns text language sql as $$ select 'shadow' $$;
  create function shadow.equal(integer, integer) returns boolean language sql as $$ select false $$;
  create operator shadow.= (leftarg = integer, rightarg = integer, function = shadow.equal);
  create table shadow.pg_class (oid oid); create table shadow.pg_attribute (attname name); create view shadow.pg_trigger as select 1 as x;`;

async function makeOdd(node: TestNode): Promise<void> {
  const whom = node.owner ? `role "${node.owner}" in database "${node.database}"` : `database "${node.database}"`;
  for (const [name, value] of Object.entries(odd)) {
    if (name === "session_replication_role" && node.owner) continue;
    await node.admin.query(`alter ${whom} set ${name} = ${name === "search_path" ? value : `'${value}'`}`);
  }
}

/** The application sets what it needs. */
async function write(node: TestNode, text: string): Promise<void> {
  const client = await openClient(node.superUrl);
  await client.query(
    "set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; set search_path = pg_catalog; set default_transaction_read_only = off",
  );
  await client.query(text);
  await client.end();
}

for (const { way, options } of ways) {
  describe(`settings of roles in ${way}`, () => {
    test("C3: time-outs, isolation, read-only, shadowing objects: nothing depends on them", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        settings: {},
        schema: `create table public.t (id int primary key, v text, at timestamptz default pg_catalog.now()); create table public.c (id int primary key, t int references public.t);`,
      });
      const { nodes, links } = linked;
      for (const node of nodes) {
        await app(node, shadow);
        await makeOdd(node);
      }
      await links.migrate();
      await write(
        nodes.local,
        "insert into public.t select i, 'v' from generate_series(1, 2000) i; insert into public.c select i, i from generate_series(1, 2000) i",
      );
      await links.sync();
      await write(
        nodes.local,
        "update public.t set v = 'w' where id <= 1000; delete from public.c where id > 1500; insert into public.t values (5000, 'new')",
      );
      await write(nodes.external, "update public.t set v = 'x' where id > 1000; insert into public.c values (7000, 5)");
      await links.sync();
      await links.retryParked();
      await links.sync();
      expect(await links.parked("external")).toEqual([]);
      for (const node of nodes) {
        // the comparison of this suite opens sessions under these settings as well
        const whom = node.owner ? `role "${node.owner}" in database "${node.database}"` : `database "${node.database}"`;
        const client = await openClient(node.superUrl);
        await client.query(
          "set statement_timeout = 0; set default_transaction_read_only = off; set search_path = pg_catalog",
        );
        await client.query(`alter ${whom} reset all`);
        await client.end();
        await node.admin.close();
      }
      expect(await links.expectRest()).toBe(2001 + 1501);
    });

    test("C6: rows hidden by a policy stop the link with an error, none is taken for deleted", async () => {
      if (!options.owner) return;
      await using linked = await linkedCluster(2, {
        ...options,
        schema: "create table public.t (id int primary key, v text);",
      });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 10) i");
      await links.sync();
      await app(
        nodes.local,
        "alter table public.t enable row level security; alter table public.t force row level security; create policy few on public.t using (id < 5)",
      );
      await app(nodes.local, "update public.t set v = 'w' where id < 5");
      await expect(links.catchUp("local", "external")).rejects.toMatchObject({ code: "rls_hides_rows" });
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("10");
      await app(nodes.local, "alter table public.t no force row level security");
      await links.sync();
      expect(await links.expectRest()).toBe(10);
    });
  });
}
