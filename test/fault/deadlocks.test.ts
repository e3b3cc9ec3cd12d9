import { test, vi } from "vitest";
import { linkedCluster, ways } from "../support/link.ts";
import { openClient } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 120_000 });

test.each(ways)(
  "C9: a row tried alone waits for what the application holds without the application being ended by a deadlock, in $way",
  async ({ options }) => {
    await using all = await linkedCluster(2, {
      ...options,
      schema: `create table parent (id int primary key, v text); insert into parent select g, 'x' from generate_series(1, 5) g;
        create table child (id int primary key, parent_id int not null references parent, note text);
        insert into child values (1, 1, 'old')`,
    });
    const { nodes, links } = all;
    await links.sync();
    const application = await openClient(nodes.external.url);
    await application.query("begin; select from parent where id = 2 for update");
    await nodes.local.admin.query("update child set parent_id = 2 where id = 1");
    let met = false;
    // Again and again: on a busy machine the first wait may be over before it was looked for.
    const rounds = (async () => {
      for (; ; await links.retryParked()) {
        await links.catchUp("local", "external");
        if (met) return;
      }
    })();
    const waiting = async () =>
      (await nodes.external.admin.value(
        `select max(pid) from pg_stat_activity where datname = current_database() and query like '%tandem:apply%' and wait_event_type = 'Lock'`,
      )) ?? null;
    // Only who is tried alone waits for so long that it is met twice.
    let before: string | null = null;
    await waitFor(
      async () => {
        const now = await waiting();
        const twice = now !== null && now === before;
        before = now;
        return twice;
      },
      { every: 40, what: "the applier waiting for the parent" },
    ).finally(() => {
      met = true;
    });
    await application.query("update child set note = 'new' where id = 1");
    await application.query("commit");
    await rounds;
    await links.retryParked();
    await links.sync();
    await links.expectRest();
  },
);
