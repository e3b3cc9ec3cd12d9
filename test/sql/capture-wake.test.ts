import { expect, test } from "vitest";
import { openClient } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { capturedNode } from "./capture-log.ts";

/** A node with a table, what it has notified since the last look, and an asking for a minute. */
async function listenedTo() {
  const node = await capturedNode(["external"]);
  await node.run("create table t (id int primary key, v text)");
  await node.track("t");
  const listener = await openClient(node.node.superUrl);
  const heard: string[] = [];
  listener.on("notification", ({ payload }) => heard.push(payload ?? ""));
  await listener.query("listen tandem");
  /** Notifications come in the order of commits: before this mark all have come. */
  const notified = async (text: string) => {
    await node.run(text);
    await node.run("notify tandem, 'mark'");
    await waitFor(() => heard.includes("mark"));
    return heard.splice(0).filter((payload) => payload !== "mark").length;
  };
  return { ...node, notified, ask: () => node.value("select tandem.ask_wake(60000)") };
}

test("C9 only commits of changes notify, and only while somebody has asked", async () => {
  const { notified, ask, run } = await listenedTo();
  expect(await notified("insert into t values (1, 'a')")).toBe(0);
  expect(await ask()).toBe("f");
  expect(await notified("insert into t values (2, 'a')")).toBe(1);
  expect(await notified("update t set v = 'b'; delete from t where id = 1")).toBe(1);
  expect(await notified("truncate t")).toBe(1);
  expect(
    await notified("select count(*) from t; create table other (id int primary key); insert into other values (1)"),
  ).toBe(0);
  expect(await notified("begin; insert into t values (3, 'a'); rollback")).toBe(0);
  await run("select tandem.hush_wake()");
  expect(await notified("insert into t values (4, 'a')")).toBe(0);
});

test("C9 who asks is told whether that had been asked for all the while, and asking again seldom writes", async () => {
  const { ask, run, value, notified } = await listenedTo();
  const until = () => value("select last_value from tandem.wake_until");
  expect(await ask()).toBe("f");
  const asked = await until();
  expect(await ask()).toBe("t");
  expect(await until()).toBe(asked);
  await run("select setval('tandem.wake_until', (date_part('epoch', clock_timestamp()) * 1000)::bigint - 1)");
  expect(await notified("insert into t values (1, 'a')")).toBe(0);
  expect(await ask()).toBe("f");
});
