import { rm, writeFile } from "node:fs/promises";
import { request as send } from "node:http";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { endpoints } from "../../src/http/endpoints.ts";
import type { StatusReport } from "../../src/sidecar/status.ts";
import { spawnTandem, type TandemProcess } from "../support/child.ts";
import { pgDump } from "../support/components.ts";
import { expectEqual } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { ask, type Sent, serve, stateOf, token, urlOf } from "./http-support.ts";

vi.setConfig({ testTimeout: 300_000 });

const table = "create table item (id int primary key, name text)";

interface Failure {
  error: { code: string; message: string; hint: string };
}

interface Done<T> {
  id: string;
  state: string;
  result: T;
  error: { code: string } | null;
}

async function refused(url: string, path: string, sent: Sent = {}): Promise<[status: number, code: string]> {
  const { status, body } = await ask<Failure>(url, path, { method: "POST", token, ...sent });
  return [status, body.error.code];
}

async function post<T>(url: string, path: string, body?: unknown): Promise<T> {
  const answer = await ask<T>(url, path, { method: "POST", token, body });
  expect([path, answer.status, answer.status < 300 ? "" : answer.text]).toEqual([path, 200, ""]);
  return answer.body;
}

/** What was asked for since the sidecar began. */
async function actionsOf(url: string): Promise<string[]> {
  const { body } = await ask<{ actions: { action: string; state: string }[] }>(url, "/api/actions", { token });
  return body.actions.map(({ action, state }) => `${action} ${state}`);
}

test("C11 a paused link rests, for every sidecar and after a restart, says so, and loses nothing", async () => {
  const { nodes, url, sidecar, cwd } = await serve(table);
  await using _ = nodes;
  const link = "/api/links/local:external";
  expect(await post(url, `${link}/pause`)).toMatchObject({ id: "local:external", paused: true, changed: true });
  expect(await post(url, `${link}/pause`, {})).toMatchObject({ paused: true, changed: false });
  await waitFor(async () => (await stateOf(url, "local:external")) === "paused");
  await nodes.local.admin.query("insert into item values (1, 'waits')");
  await nodes.external.admin.query("insert into item values (2, 'flows')");
  await waitFor(async () => (await nodes.local.admin.value("select name from item where id = 2")) === "flows");
  // What has flowed is pending until its source has been told that it arrived.
  const pending = await waitFor(async () => {
    const { body } = await ask<{ rows: { node: string }[] }>(url, "/api/pending");
    return body.rows.every(({ node }) => node === "local") && body;
  });
  expect(pending.rows).toMatchObject([{ node: "local", peer: "external", op: "I", key: "1" }]);
  const paused = await waitFor(async () => {
    const { body } = await ask<StatusReport>(url, "/api/status");
    return body.problems.some(({ kind }) => kind === "paused") && body;
  });
  expect(paused.sentence).toMatch(/^local → external is paused since .* by HTTP, 127\.0\.0\.1/);

  const sync = await post<Done<{ well: boolean; links: { source: string; error: { code: string } | null }[] }>>(
    url,
    "/api/sync?wait=600",
  );
  expect(sync.result.well).toBe(false);
  expect(sync.result.links.map(({ source, error }) => [source, error?.code])).toEqual([
    ["local", "link_paused"],
    ["external", undefined],
  ]);

  // What moved is kept every ten seconds.
  const before = () => ask<{ links: { minutes: unknown[] }[] }>(url, "/api/throughput");
  await waitFor(async () => (await before()).body.links.some(({ minutes }) => minutes.length > 0));
  expect((await sidecar.stop()).code).toBe(0);
  const again: TandemProcess = spawnTandem(["run"], { cwd });
  const next = await urlOf(again);
  await waitFor(async () => (await stateOf(next, "local:external")) === "paused");
  // The other link may not have caught up yet.
  await waitFor(async () => (await ask(next, "/readyz")).status === 200);
  expect(await nodes.external.admin.value("select count(*)::text from item where id = 1")).toBe("0");
  expect(await post(next, `${link}/resume`)).toMatchObject({ paused: false, changed: true });
  expect(await post(next, `${link}/resume`)).toMatchObject({ paused: false, changed: false });
  await waitFor(async () => (await nodes.external.admin.value("select name from item where id = 1")) === "waits");
  await expectEqual(nodes, ["public.item"]);
  const well = await post<Done<{ well: boolean }>>(next, "/api/sync?wait=600", {});
  expect(well).toMatchObject({ state: "done", result: { well: true }, error: null });
  const verified = await post<Done<{ identical: boolean }>>(next, "/api/verify?wait=600", {});
  expect(verified.result.identical).toBe(true);
  expect((await ask<StatusReport>(next, "/api/status")).body.verified?.identical).toBe(true);
  expect((await ask<Done<unknown>>(next, `/api/actions/${well.id}`, { token })).body.state).toBe("done");
  // The newest first; those of the sidecar before are in the activity only.
  expect(await actionsOf(next)).toEqual(["verify done", "sync done"]);
  expect((await ask(next, "/api/actions")).status).toBe(401);

  // What happened before the restart is told after it.
  const kinds = await waitFor(async () => {
    const { body } = await ask<{ rows: { kind: string; message: string }[] }>(next, "/api/activity");
    const all = body.rows.map(({ kind, message }) => (kind.startsWith("action") ? `${kind} ${message}` : kind));
    return all.includes("link_paused") && all.includes("action_done verify") && all;
  });
  expect(kinds).toContain("link_resumed");
  expect(kinds.filter((kind) => kind === "action_done sync")).toHaveLength(2);
  expect(kinds.filter((kind) => kind === "sidecar_took_over").length).toBeGreaterThanOrEqual(2);
  const rows = await waitFor(async () => {
    const { body } = await ask<{ links: { target: string; minutes: { rows: number }[] }[] }>(next, "/api/throughput");
    const minutes = body.links.map((link) => [link.target, link.minutes.reduce((sum, one) => sum + one.rows, 0)]);
    return minutes.every(([, sum]) => sum !== 0) && minutes;
  });
  expect(rows).toEqual([
    ["external", 1],
    ["local", 1],
  ]);
  expect((await again.stop()).code).toBe(0);
});

test("conflicts are restored, parked rows tried again and dropped, by the token only; bad input is told", async () => {
  const { nodes, url, sidecar } = await serve(table);
  await using _ = nodes;
  for (const { method, path } of endpoints.filter(({ access }) => access === "token")) {
    const { status, body } = await ask<Failure>(url, path.replace(":id", "some"), { method });
    expect([path, status, body.error.code]).toEqual([path, 401, "unauthorized"]);
  }
  const bad: [path: string, body: unknown, status: number, code: string][] = [
    ["/api/links/local:nowhere/pause", {}, 404, "not_found"],
    ["/api/links/local/pause", {}, 400, "bad_request"],
    ["/api/links/local:external/pause", { by: "x" }, 400, "bad_request"],
    ["/api/links/local:external/stop", {}, 404, "not_found"],
    ["/api/conflicts/nosuch/restore", {}, 404, "not_found"],
    ["/api/conflicts/nosuch/restore", { node: "nowhere" }, 400, "usage"],
    ["/api/parked/999/retry", {}, 404, "not_found"],
    ["/api/parked/0/retry", {}, 400, "bad_request"],
    ["/api/parked/abc/drop", { reason: "x" }, 400, "bad_request"],
    ["/api/parked/999/drop", {}, 400, "bad_request"],
    ["/api/parked/999/drop", { reason: " " }, 400, "bad_request"],
    ["/api/parked/999/drop", { reason: "x" }, 404, "not_found"],
    ["/api/verify", { tables: ["nosuch"] }, 400, "usage"],
    ["/api/verify", { tables: "item" }, 400, "bad_request"],
    ["/api/sync", [], 400, "bad_request"],
    ["/api/sync", "{", 400, "bad_request"],
    ["/api/sync", "", 400, "bad_request"],
    ["/api/sync", `"${"x".repeat(70_000)}"`, 413, "too_large"],
    ["/api/sync?wait=601", {}, 400, "bad_request"],
    ["/api/backup/create", {}, 400, "usage"],
    ["/api/backup/create", { node: "nowhere" }, 400, "usage"],
    ["/api/backups/2020-01-01T00-00-00-000Z/verify", {}, 404, "not_found"],
    ["/api/backups/..%2F..%2Fetc/verify", {}, 404, "not_found"],
    ["/api/backups/latest/verify", { level: 4 }, 400, "bad_request"],
    ["/api/backups/latest/restore", { mode: "merge" }, 400, "bad_request"],
    ["/api/backups/latest/restore", { mode: "all", dryRun: true }, 400, "bad_request"],
  ];
  for (const [path, body, status, code] of bad) {
    expect([path, body, ...(await refused(url, path, { body }))]).toEqual([path, body, status, code]);
  }
  const form = { body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } };
  expect(await refused(url, "/api/sync", form)).toEqual([400, "bad_request"]);
  const unknown = "/api/actions/5f1a1ed0-0000-4000-8000-000000000000";
  expect(await refused(url, unknown, { method: "GET" })).toEqual([404, "not_found"]);

  // Both change one row before either has heard of the other.
  await nodes.local.admin.query("insert into item values (1, 'first')");
  await waitFor(async () => (await nodes.external.admin.value("select name from item")) === "first");
  await nodes.local.admin.query("begin; update item set name = 'lost' where id = 1");
  await nodes.external.admin.query("update item set name = 'won' where id = 1");
  await nodes.local.admin.query("commit");
  await waitFor(async () => (await nodes.local.admin.value("select name from item")) === "won");
  const { body: conflicts } = await waitFor(async () => {
    const answer = await ask<{ rows: { id: string; nodes: string[] }[] }>(url, "/api/conflicts");
    return answer.body.rows.length > 0 && answer;
  });
  // Whichever node has heard of the other's change first has decided, and may be the only one.
  const node = conflicts.rows[0]?.nodes[0];
  const restored = await post(url, `/api/conflicts/${conflicts.rows[0]?.id}/restore`, { node });
  expect(restored).toMatchObject({ node, table: "item", key: "1", changed: true });
  for (const { admin } of nodes) await waitFor(async () => (await admin.value("select name from item")) === "lost");

  await nodes.external.admin.query("alter table item add constraint small check (id < 10)");
  await nodes.local.admin.query("insert into item values (11, 'a'), (12, 'b')");
  const parked = await waitFor(async () => {
    const { body } = await ask<{ rows: { id: number; key: string }[] }>(url, "/api/parked");
    return body.rows.length === 2 && body.rows;
  });
  const idOf = (key: string) => parked.find((row) => row.key === key)?.id;
  const dropped = await post(url, `/api/parked/${idOf("12")}/drop`, { reason: "not wanted" });
  expect(dropped).toMatchObject({ node: "external", peer: "local", table: "item", key: "12", imageKept: true });
  await nodes.external.admin.query("alter table item drop constraint small");
  // By itself it may have been tried already: then there is nothing left to try.
  const { status } = await ask(url, `/api/parked/${idOf("11")}/retry`, { method: "POST", token });
  expect([200, 404]).toContain(status);
  await waitFor(async () => (await nodes.external.admin.value("select name from item where id = 11")) === "a");
  const { body: past } = await ask<{ rows: { message: string }[] }>(url, "/api/activity");
  expect(past.rows.map(({ message }) => message)).toContain(`parked row ${idOf("12")} dropped: not wanted`);
  expect(sidecar.result).toBe(undefined);
  expect(sidecar.stderr).not.toContain(token);
});

interface Emergency {
  readonly backups: { readonly id: string; readonly node: string; readonly label: string }[];
}

test("backups are made, proven and put back; what is under way is not begun twice", async () => {
  const programs = dirname(pgDump());
  const { nodes, url } = await serve(table, `backup: { dir: kept, pg_bin: "${programs}" }\n`);
  await using _ = nodes;
  await nodes.local.admin.query("insert into item values (1, 'kept')");
  await waitFor(async () => (await nodes.external.admin.value("select name from item")) === "kept");
  expect((await ask<{ status: string }>(url, "/api/backup/status")).body.status).toBe("never");

  await nodes.local.admin.query("begin; lock table item in access exclusive mode");
  const create = () =>
    ask<Done<{ id: string }> & Failure>(url, "/api/backup/create?wait=0", {
      method: "POST",
      token,
      body: { node: "local" },
    });
  const begun = await create();
  expect([begun.status, begun.body.state]).toEqual([202, "running"]);
  expect(await actionsOf(url)).toEqual(["backup create running"]);
  const twice = await create();
  expect([twice.status, twice.body.error.code]).toEqual([409, "action_running"]);
  // Nobody who is in need is refused: one behind what is made, and one more for all who ask while that waits (thing 18).
  const urgent = async () => {
    const options = { method: "POST", token, body: { node: "local" } };
    const { status, body } = await ask<Done<Emergency>>(url, "/api/backup/emergency?wait=0", options);
    expect(status).toBe(202);
    return body.id;
  };
  const [first, second, third] = [await urgent(), await urgent(), await urgent()];
  expect([first === second, second === third]).toEqual([false, true]);
  await nodes.local.admin.query("commit");
  const made = await waitFor(async () => {
    const { body } = await ask<Done<{ id: string }>>(url, `/api/actions/${begun.body.id}`, { token });
    return body.state !== "running" && body;
  });
  expect(made).toMatchObject({
    error: null,
    state: "done",
    result: { node: "local", state: "complete", rows: 1 },
  });
  const id = made.result.id;
  const emergencies = await Promise.all(
    [first, second].map((action) =>
      waitFor(async () => {
        const { body } = await ask<Done<Emergency>>(url, `/api/actions/${action}`, { token });
        return body.state !== "running" && body.result.backups[0]?.id;
      }),
    ),
  );
  const { body: list } = await ask<{ backups: { id: string }[] }>(url, "/api/backups");
  expect(list.backups.map((backup) => backup.id)).toEqual([id, ...emergencies]);

  const proof = await post<Done<{ reached: number }>>(url, `/api/backups/${id}/verify?wait=600`, { level: 1 });
  expect(proof.result).toMatchObject({ id, asked: 1, reached: 1, error: null });

  await nodes.local.admin.query("update item set name = 'spoiled'; insert into item values (2, 'later')");
  await waitFor(async () => (await nodes.external.admin.value("select name from item where id = 1")) === "spoiled");
  const restore = `/api/backups/${id}/restore?wait=600`;
  const dry = await post<Done<{ dryRun: boolean; safety: string | null }>>(url, restore, {
    mode: "exact",
    dryRun: true,
  });
  expect(dry.result).toMatchObject({ dryRun: true, safety: null });
  expect(await nodes.local.admin.value("select name from item where id = 1")).toBe("spoiled");
  expect(await refused(url, restore, { body: { mode: "exact", confirm: "yes" } })).toEqual([400, "bad_request"]);
  const done = await post<Done<{ safety: string }>>(url, restore, { mode: "exact", confirm: id });
  expect(done.result.safety).toMatch(/^\d{4}-/);
  await waitFor(async () => (await nodes.external.admin.value("select string_agg(name, ',') from item")) === "kept");

  // The paths of before.
  const emergency = await post<Done<Emergency>>(url, "/api/backup/emergencial?wait=600");
  expect(emergency.result.backups.map(({ node, label }) => [node, label])).toEqual([
    ["local", "emergency"],
    ["external", "emergency"],
  ]);
  const old = await post<Done<{ node: string }>>(url, "/backup?wait=600", { node: "external" });
  expect(old.result.node).toBe("external");
  expect((await ask<{ status: string }>(url, "/backup")).body.status).toBe("ok");
});

test("live state comes as server-sent events, to so many, and ends with the sidecar", async () => {
  const { nodes, url, sidecar } = await serve(table);
  await using _ = nodes;
  const text: string[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    const stream = send(new URL("/api/events", url), { agent: false }, (response) => {
      expect(response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
      response.setEncoding("utf8").on("data", (chunk: string) => void text.push(chunk));
      // A sidecar that ends may end the stream, or the connection.
      response.on("end", resolve).on("error", () => resolve());
    });
    stream.on("error", reject).end();
  });
  const events = (kind: string) =>
    [...text.join("").matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm)]
      .filter(([, name]) => name === kind)
      .map(([, , data = ""]) => JSON.parse(data) as { sentence: string; well: boolean; source: string; rows: number });
  await waitFor(() => events("status").some(({ well }) => well));
  await nodes.local.admin.query("insert into item values (1, 'x')");
  await waitFor(() => events("link").some(({ source, rows }) => source === "local" && rows > 0));
  await nodes.external.admin.query("alter table item add check (id < 10)");
  await nodes.local.admin.query("insert into item values (11, 'y')");
  await waitFor(() => events("status").some(({ well }) => !well));
  expect((await sidecar.stop()).code).toBe(0);
  await ended;
});

test("a folder of the backups that cannot be used is told by a code wherever it is asked for, and all else goes on", async () => {
  const job = `{ name: daily, node: local, schedule: "0 3 1 1 *", keep_last: 3 }`;
  const backup = `backup: { dir: kept, pg_bin: "${dirname(pgDump())}", jobs: [${job}] }\n`;
  const { nodes, url, cwd, sidecar } = await serve(table, backup);
  await using _ = nodes;
  // A file where the folder should be: nobody may write there, the superuser no more than others.
  const kept = join(cwd, "kept");
  await rm(kept, { recursive: true, force: true });
  await writeFile(kept, "");
  const body = { node: "local" };
  const answers = new Map<string, readonly [number, string]>();
  for (const path of ["/api/backup/create?wait=600", "/api/backup/emergency?wait=600", "/backup?wait=600"])
    answers.set(path, await refused(url, path, { body }));
  answers.set("verify", await refused(url, "/api/backups/latest/verify?wait=600"));
  for (const path of ["/api/backups", "/api/backup/status"])
    answers.set(path, await refused(url, path, { method: "GET" }));
  expect([...answers].filter(([, told]) => told.join(" ") !== "502 backup_storage")).toEqual([]);
  const seen = await waitFor(async () => {
    const { body } = await ask<StatusReport>(url, "/api/status");
    return body.problems.some(({ kind }) => kind === "backup_failed") && body;
  });
  expect(seen.problems.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^The backups cannot be seen: .*kept.* cannot be used: a part of the path is no folder$/),
  ]);
  expect(seen.links).toHaveLength(2);
  expect((await ask(url, "/metrics")).text).toMatch(/^tandem_problems\{kind="backup_failed"\} 1$/m);
  await nodes.local.admin.query("insert into item values (1, 'flows')");
  await waitFor(async () => (await nodes.external.admin.value("select name from item")) === "flows");
  await rm(kept);
  const { result } = await post<Done<{ state: string }>>(url, "/api/backup/create?wait=600", body);
  expect(result.state).toBe("complete");
  expect((await sidecar.stop()).code).toBe(0);
});
