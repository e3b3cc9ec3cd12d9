import { expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { openClient } from "../support/pg.ts";

vi.setConfig({ testTimeout: 120_000 });

const schema =
  "create table account (id int primary key, balance int not null); create table other (id int primary key)";
const rows = "insert into account select g, 0 from generate_series(1, 40) g";

/**
 * Rows 1 to 3 are there, and their newest entries say that they are gone: each is inserted by a statement that goes on
 * deleting afterwards, and is captured in this order.
 */
const unsettled = [1, 2, 3]
  .map(
    (id) => `with d as (delete from account where id in (${id}, ${id + 30}) returning *)
      insert into account select ${id}, balance + 5 from d limit 1`,
  )
  .join(";");

test.each(ways)(
  "C6 C9: rows that must be settled at the source, and that the application keeps locked there, hold up nothing else, in $way",
  async ({ options }) => {
    await using all = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = all;
    await nodes.local.admin.query(rows);
    await links.sync();
    await nodes.local.admin.query(unsettled);
    const holder = await openClient(nodes.local.url);
    await holder.query("begin; select from account where id in (1, 3) for update");
    await nodes.local.admin.query("update account set balance = 7 where id > 10; insert into other values (1)");
    await links.catchUp("local", "external");
    expect(await links.parked("external")).toEqual(["account 1 busy", "account 3 busy"]);
    const { admin } = nodes.external;
    expect(await admin.value("select count(*) from account where balance = 7")).toBe("27");
    expect(await admin.query("select balance from account where id <= 3 order by id")).toEqual([
      { balance: "0" },
      { balance: "5" },
      { balance: "0" },
    ]);

    // It still flows while they wait, and while they are tried again.
    await links.retryParked();
    await nodes.local.admin.query("insert into other values (2)");
    await links.catchUp("local", "external");
    expect(await admin.value("select count(*) from other")).toBe("2");

    await holder.query("update account set balance = 9 where id = 1; commit");
    await links.retryParked();
    await links.sync();
    expect(await links.expectRest()).toBe(39);
    expect(await links.conflicts("external")).toEqual([]);
  },
);

test("C6: rows that a first copy finds in need of settling, locked at the source, are left out of it and follow", async () => {
  await using all = await linkedCluster(2, { schema });
  const { nodes, links } = all;
  await nodes.local.admin.query(`${rows}; ${unsettled}`);
  const holder = await openClient(nodes.local.url);
  await holder.query("begin; select from account where id = 2 for update");
  await links.catchUp("local", "external");
  expect(await links.parked("external")).toEqual(["account 2 busy"]);
  expect(await nodes.external.admin.value("select count(*) from account")).toBe("36");
  await holder.query("rollback");
  await links.retryParked();
  await links.sync();
  await links.expectRest();
});

test.each(ways)(
  "C3 C7: a row whose deletion came in before its insert was committed is kept as a conflict where a newer one replaces it, in $way",
  async ({ options }) => {
    await using all = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = all;
    const { local, external } = nodes;
    await links.sync();
    const inserting = await openClient(local.url);
    await inserting.query("begin; insert into account values (1, 100), (2, 200)");
    await app(external, "insert into account values (1, 0), (2, 0)");
    await app(external, "delete from account");
    await links.catchUp("external", "local");
    await inserting.query("commit");
    expect(await local.admin.value("select count(*) from account")).toBe("2");
    // The usual way, and the short one.
    await app(external, "insert into account values (1, 7)");
    await links.catchUp("external", "local");
    await app(external, "insert into account values (2, 8)");
    await (await links.link("external", "local")).round(true);
    await links.sync();
    expect(await links.expectRest()).toBe(2);
    expect(await local.admin.value("select string_agg(balance::text, ' ' order by id) from account")).toBe("7 8");
    const kept = `select concat_ws(' ', kind, key[1], local_origin, local_columns, local_values) as line from tandem.conflict order by 1`;
    expect((await local.admin.query(kept)).map(({ line }) => line)).toEqual([
      "update/insert 1 local {id,balance} {1,100}",
      "update/insert 2 local {id,balance} {2,200}",
    ]);
  },
);
