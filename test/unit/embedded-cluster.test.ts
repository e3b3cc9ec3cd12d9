import { describe, expect, test } from "vitest";
import { cluster, expectEqual, hostileSettings, openClient, sql, template, testServers } from "../support/pg.ts";

describe("cluster", () => {
  test("gives databases on two instances", async () => {
    await using c = await cluster(3);
    expect(c.nodes.map((node) => node.name)).toEqual(["local", "external", "n3"]);
    const ids = await Promise.all(
      c.nodes.map((node) => node.admin.value("select system_identifier from pg_control_system()")),
    );
    expect(new Set(ids).size).toBe(Math.min(2, testServers().length));
    expect(c.local.database).toMatch(/^t_gives_databases_on_two_instances_[0-9a-f]{6}_local$/);
  });

  test("gives an ordinary owner with settings of its own", async () => {
    await using c = await cluster(2, { owner: true, settings: hostileSettings });
    for (const node of c) {
      const [row] = await sql(
        node.url,
        `select rolsuper, pg_has_role(datdba, 'usage') as owns, current_setting('DateStyle') as dates, '\\x00ff'::bytea as bytes
         from pg_roles, pg_database where rolname = current_user and datname = current_database()`,
      );
      expect(row).toEqual({ rolsuper: "f", owns: "t", dates: "German, DMY", bytes: "\\000\\377" });
    }
  });

  test("clones a template", async () => {
    const made = () =>
      template(
        "cloned here",
        async (url) => void (await sql(url, "create table public.t (a int); insert into public.t values (1)")),
      );
    expect(await made()).toBe(await made());
    await using c = await cluster(2, { template: await made() });
    expect(await expectEqual(c)).toEqual({ tables: 1, rows: 1 });
  });

  test("compares every value", async () => {
    await using c = await cluster(2);
    for (const node of c) await node.admin.query("create table public.t (a numeric, b text)");
    await c.local.admin.query(`insert into public.t values (1, 'x'), (2, null)`);
    await c.external.admin.query(`insert into public.t values (1.00, 'x'), (2, '')`);
    await expect(expectEqual(c)).rejects.toThrow(/2 and 2 have no equal\n {2}only local: \(1,x\)/);
    const client = await openClient(c.external.url);
    await client.query(`truncate public.t; insert into public.t values (1, 'x'), (2, null)`);
    expect(await expectEqual(c, ["public.t"])).toEqual({ tables: 1, rows: 2 });
  });
});
