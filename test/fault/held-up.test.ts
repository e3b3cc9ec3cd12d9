import { expect, test, vi } from "vitest";
import { sync } from "../../src/sidecar/sync.ts";
import { codeOf, linkedCluster } from "../support/link.ts";
import { openClient } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 240_000 });

const schema = `create table account (id int primary key, balance int not null);
  insert into account select g, 0 from generate_series(1, 40) g`;

test.each(["repeatable read", "serializable"])(
  "C9: against a %s transaction the applier does not fail; who fails is who updates a row applied since it began",
  async (level) => {
    await using all = await linkedCluster(2, { schema });
    const { nodes, links } = all;
    await links.sync();
    const application = await openClient(nodes.external.url);
    await application.query(`begin isolation level ${level}; select sum(balance) from account`);
    await nodes.local.admin.query("update account set balance = 1 where id = 1");
    await links.sync();
    await application.query("update account set balance = 2 where id = 2; commit");
    await links.sync();

    await application.query(`begin isolation level ${level}; select sum(balance) from account`);
    await nodes.local.admin.query("update account set balance = 3 where id = 3");
    await links.sync();
    await expect(application.query("update account set balance = 4 where id = 3")).rejects.toMatchObject({
      code: "40001",
    });
    await application.query("rollback");
    await links.expectRest();
  },
);

test("C9: while a table is locked on one side, the application's changes of its shape on the other do not wait for the link", async () => {
  await using all = await linkedCluster(2, {
    schema: `${schema}; create table entry (id int primary key, account_id int not null references account)`,
  });
  const { nodes, links } = all;
  await links.sync();
  const holder = await openClient(nodes.external.url);
  await holder.query("begin; lock table account in access exclusive mode");
  await nodes.local.admin.query("insert into account values (50, 0); insert into entry values (1, 50)");
  const round = codeOf(links.catchUp("local", "external"));
  await waitFor(
    async () =>
      (await nodes.external.admin.value(
        "select count(*) from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.application_name like 'tandem/%' and a.datname = current_database()",
      )) !== "0",
    { every: 10, what: "the link waiting for the table" },
  );
  // The link reads the row to be carried in a transaction that is open now.
  const application = await openClient(nodes.local.url);
  await application.query("set lock_timeout = '15s'; alter table account alter balance set default 0");
  expect(await round).toBe("lock_timeout");
  await holder.query("commit");
  await links.sync();
  await links.expectRest();
});

test("C9: a sync waits for a table that the application has locked for some seconds", async () => {
  await using all = await linkedCluster(2, { schema });
  const { nodes, links } = all;
  await links.sync();
  const holder = await openClient(nodes.external.url);
  await holder.query("begin; lock table account in access exclusive mode");
  await nodes.local.admin.query("update account set balance = 1");
  const report = sync(links.config);
  await holder.query("select pg_sleep(4); commit");
  expect((await report).links.map(({ error }) => error)).toEqual([null, null]);
  await links.expectRest();
});

test("C6 C9: a table that is locked as a whole is waited for, not for ever; then it flows, with the change of its shape that came between", async () => {
  await using all = await linkedCluster(2, { schema: `${schema}; create table other (id int primary key)` });
  const { nodes, links } = all;
  await links.sync();
  const holder = await openClient(nodes.external.url);
  await holder.query("begin; lock table account in access exclusive mode");
  await nodes.local.admin.query("update account set balance = 1; insert into other values (1)");
  expect(await codeOf(links.catchUp("local", "external"))).toBe("lock_timeout");
  const reader = await openClient(nodes.external.url);
  await reader.query("set lock_timeout = '60s'");
  const read = reader.query("alter table account add column note text");
  await holder.query("commit");
  await read;
  await nodes.local.admin.query("alter table account add column note text");
  await links.sync();
  await links.expectRest();
});
