import { createServer } from "node:net";
import { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TandemError } from "../../src/base/errors.ts";
import { connect } from "../../src/db/connect.ts";
import type { Connection } from "../../src/db/connection.ts";
import { pinnedSettings } from "../../src/db/session.ts";
import { sqlState } from "../../src/db/sqlstate.ts";
import { inTransaction } from "../../src/db/transaction.ts";
import { type EmbeddedServer, startServer } from "../../src/embedded/server.ts";
import { waitFor } from "../support/wait.ts";
import { selfSigned } from "./tls-certificate.ts";

let server: EmbeddedServer;
const open = (query = "", name = "local") => connect({ name, url: `${server.url()}?${query}` }, "test");

beforeAll(async () => {
  server = await startServer({ tls: selfSigned("localhost"), settings: { idle_session_timeout: "60s" } });
  await using admin = await open();
  await admin.exec(`alter database postgres set DateStyle = 'German';
    alter database postgres set extra_float_digits = 0; alter database postgres set bytea_output = 'escape';
    alter database postgres set TimeZone = 'Pacific/Auckland'; alter database postgres set statement_timeout = '1s';
    alter database postgres set search_path = public, pg_catalog; alter database postgres set array_nulls = off;
    create function public.current_setting(text) returns text language sql as 'select ''1''';
    create table public.t (id int primary key, v text)`);
}, 120_000);

afterAll(async () => {
  await server?.stop();
});

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof TandemError ? error.code : String(error);
}

async function settingsOf(connection: Connection) {
  const names = ["DateStyle", "extra_float_digits", "bytea_output", "TimeZone", "statement_timeout", "row_security"];
  const rows = await connection.query(
    "select name, setting from pg_settings where lower(name) = any ($1::text[]) order by 1",
    [names.map((name) => name.toLowerCase())],
  );
  return Object.fromEntries(rows.map((row) => [row.name, row.setting]));
}

const wanted = {
  DateStyle: "ISO, YMD",
  TimeZone: "UTC",
  bytea_output: "hex",
  extra_float_digits: "3",
  row_security: "off",
  statement_timeout: "0",
};

describe("a session", () => {
  it("is pinned whatever database and role have set, and hands out text", async () => {
    await using connection = await open();
    expect(await settingsOf(connection)).toEqual(wanted);
    expect(connection.serverVersion).toBeGreaterThan(130000);
    const [row] = await connection.query(
      `select 1 as n, true as b, null as z, 0.1::float8 as f, '\\x00ff'::bytea as y,
        '2020-02-01 10:00+00'::timestamptz as t, pg_backend_pid() as pid, '{NULL}'::text[] as a,
        current_setting('application_name') as app, current_setting('idle_session_timeout') as idle`,
    );
    expect(row).toEqual({
      n: "1",
      b: "t",
      z: null,
      f: "0.1",
      y: "\\x00ff",
      t: "2020-02-01 10:00:00+00",
      pid: String(connection.processId),
      a: "{NULL}",
      app: "tandem/test",
      idle: "0",
    });
  });

  it("can be pinned anew for one transaction", async () => {
    await using connection = await open();
    await connection.exec("set DateStyle = 'SQL'; set statement_timeout = '5s'; set row_security = on");
    await inTransaction(connection, `begin; ${pinnedSettings(connection.serverVersion)}`, async (tx) => {
      expect(await settingsOf(tx)).toEqual(wanted);
    });
    expect(await settingsOf(connection)).not.toEqual(wanted);
  });

  it("answers several statements in one message, one by one", async () => {
    await using connection = await open();
    const results = await connection.exec("begin; select 1 as a; select 2 as b; commit");
    expect(results.map(({ command, rows }) => [command, ...rows])).toEqual([
      ["BEGIN"],
      ["SELECT", { a: "1" }],
      ["SELECT", { b: "2" }],
      ["COMMIT"],
    ]);
  });

  it("is broken, not fatal, when the server ends it", async () => {
    await using victim = await open();
    await using admin = await open();
    await admin.query("select pg_terminate_backend($1)", [victim.processId]);
    await waitFor(() => victim.broken);
    expect(await codeOf(victim.query("select 1"))).toBe("connection_lost");
    await using busy = await open();
    const running = codeOf(busy.query("select pg_sleep(30)"));
    await admin.query("select pg_terminate_backend($1)", [busy.processId]);
    expect(await running).toBe("connection_lost");
  });
});

describe("a transaction", () => {
  it("is rolled back with the first error, and the session lives on", async () => {
    await using connection = await open();
    const work = inTransaction(connection, "begin isolation level read committed read write", async (tx) => {
      await tx.query("insert into public.t values (1, 'x')");
      await tx.query("select 1 / 0");
    });
    await expect(work).rejects.toSatisfy((error) => sqlState(error) === "22012");
    expect(await connection.query("select * from public.t")).toEqual([]);
  });

  it("does not take a silent rollback for a commit", async () => {
    await using connection = await open();
    const work = inTransaction(connection, "begin", async (tx) => {
      await tx.query("select 1 / 0").catch(() => {});
    });
    expect(await codeOf(work)).toBe("internal");
  });
});

describe("COPY", () => {
  it("carries bytes from one session to another", async () => {
    await using source = await open();
    await using target = await open();
    await target.exec("create temporary table copied (id int, v text)");
    const rows = "select g, E'a\\tb\\\\' || g from generate_series(1, 50000) g";
    await pipeline(source.copyOut(`copy (${rows}) to stdout`), target.copyIn("copy copied from stdin"));
    expect(await target.query("select count(*) as n, max(id) as top from copied")).toEqual([
      { n: "50000", top: "50000" },
    ]);
    expect(await source.query("select 1 as one")).toEqual([{ one: "1" }]);
  });

  it("that fails on either end throws a coded error and leaves usable sessions", async () => {
    await using connection = await open();
    expect(
      await codeOf(text(connection.copyOut("copy (select 1 / (3 - g) from generate_series(1, 5) g) to stdout"))),
    ).toBe("sql_failed");
    expect(await connection.query("select 1 as one")).toEqual([{ one: "1" }]);
    expect(await codeOf(pipeline(Readable.from(["x\ty\n"]), connection.copyIn("copy public.t from stdin")))).toBe(
      "sql_failed",
    );
    expect(await connection.query("select 1 as one")).toEqual([{ one: "1" }]);
    expect(await codeOf(pipeline(Readable.from(["x"]), connection.copyIn("copy nowhere from stdin")))).toBe(
      "sql_failed",
    );
    expect(await connection.query("select 1 as one")).toEqual([{ one: "1" }]);
  });

  it("whose reader goes away breaks the session; whose writer goes away changes nothing", async () => {
    await using source = await open();
    const stop = new Writable({ write: (_, __, done) => done(new Error("enough")) });
    const endless = source.copyOut("copy (select repeat('x', 1000) from generate_series(1, 1000000)) to stdout");
    await expect(pipeline(endless, stop)).rejects.toThrow("enough");
    expect(source.broken).toBe(true);

    await using target = await open();
    const failing = Readable.from(
      (function* () {
        yield "7\tx\n";
        throw new Error("source lost");
      })(),
    );
    await expect(pipeline(failing, target.copyIn("copy public.t from stdin"))).rejects.toThrow("source lost");
    expect(await target.query("select count(*) as n from public.t")).toEqual([{ n: "0" }]);
  });
});

describe("connecting", () => {
  it("gives up after its time, and at once when told to stop", async () => {
    const sockets = new Set<import("node:net").Socket>();
    const silent = createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const node = { name: "local", url: `postgresql://u:p@127.0.0.1:${port}/db` };
    try {
      expect(await codeOf(connect(node, "test", { connectTimeoutMs: 200 }))).toBe("cannot_connect");
      const controller = new AbortController();
      const stopped = codeOf(connect(node, "test", { signal: controller.signal }));
      setTimeout(() => controller.abort(), 50);
      expect(await stopped).toBe("stopped");
      expect(await codeOf(connect(node, "test", { signal: controller.signal }))).toBe("stopped");
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });

  it("takes nothing from the PG variables of the environment", async () => {
    const before = { ...process.env };
    Object.assign(process.env, { PGPASSWORD: server.password, PGOPTIONS: "-c geqo=off", PGSSLMODE: "disable" });
    try {
      expect(
        await codeOf(
          connect({ name: "local", url: `postgresql://postgres@127.0.0.1:${server.port}/postgres` }, "test"),
        ),
      ).toBe("wrong_password");
      await using connection = await open();
      expect(connection.encryption).not.toBeNull();
      expect(await connection.query("select current_setting('geqo') as geqo")).toEqual([{ geqo: "on" }]);
    } finally {
      process.env = before;
    }
  });

  it("passes options, and works over a unix socket, where there is no TLS", async () => {
    await using optional = await open("options=-c%20geqo%3Doff");
    expect(await optional.query("select current_setting('geqo') as geqo")).toEqual([{ geqo: "off" }]);
    const [row] = await optional.query("select current_setting('unix_socket_directories') as folder");
    if (!row?.folder) return;
    const url = `postgresql:///postgres?host=${row.folder}&port=${server.port}&user=postgres&password=${server.password}&sslmode=require`;
    await using local = await connect({ name: "local", url }, "test");
    expect(local.encryption).toBeNull();
  });
});
