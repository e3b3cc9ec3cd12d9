import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { TandemError } from "../../src/base/errors.ts";
import { systemClock } from "../../src/base/time.ts";
import { clock } from "../../src/doctor/clock.ts";
import { doctor } from "../../src/doctor/doctor.ts";
import { encoding } from "../../src/doctor/encoding.ts";
import { encryption, isLocal } from "../../src/doctor/encryption.ts";
import { longTransactions, longTransactionsOver } from "../../src/doctor/long-transactions.ts";
import { pooled } from "../../src/doctor/pooled.ts";
import { prepared } from "../../src/doctor/prepared.ts";
import { reachable } from "../../src/doctor/reachable.ts";
import { sameDatabase } from "../../src/doctor/same-database.ts";
import { server, versionSeen } from "../../src/doctor/server.ts";
import { timeLimits } from "../../src/doctor/time-limits.ts";
import { writable } from "../../src/doctor/writable.ts";
import { startServer } from "../../src/embedded/server.ts";
import { configOf } from "../support/config.ts";
import { afterTest, cluster, openClient, testMajor } from "../support/pg.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { faults, said } from "./doctor-config.ts";
import { selfSigned } from "./tls-certificate.ts";

describe("reachable", () => {
  it("fires for a node that does not answer, and says nothing of the others", async () => {
    const { local } = await cluster(1);
    const config = configOf([local, { name: "external", url: "postgresql://ana:hidden-secret@127.0.0.1:9/shop" }]);
    const [finding, ...others] = await faults(reachable, config);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ check: "reachable", node: "external", severity: "problem" });
    expect(finding?.message).toMatch(/^no connection: \(127\.0\.0\.1:9, database shop\): .*ECONNREFUSED/);
    expect(finding?.remedy).toMatch(/host and port/);
    expect(JSON.stringify(finding)).not.toContain("hidden-secret");
  });

  it("is silent when every node answers", async () => {
    const nodes = await cluster(2);
    expect(await said(reachable, configOf(nodes))).toEqual(["ok: every node answers"]);
  });
});

describe("server", () => {
  it("warns of a major version that was not tested", () => {
    expect(versionSeen(190001)).toMatchObject([
      { severity: "warning", message: expect.stringContaining("19 is newer") },
    ]);
    expect(versionSeen(130023)).toMatchObject([{ severity: "ok", message: "PostgreSQL 13.23" }]);
    expect(versionSeen(180004)).toMatchObject([{ severity: "ok" }]);
  });

  it("tells of a server that is too old, from the error of the connection", async () => {
    const error = new TandemError("unsupported_server", "node local (h:1, database d): the server is of version 12", {
      node: "local",
    });
    const found = await server.run({
      config: configOf([]),
      clock: systemClock,
      nodes: [],
      closed: [{ name: "local", error }],
      signal: undefined,
    });
    expect(found).toMatchObject([{ severity: "problem", node: "local", message: "the server is of version 12" }]);
  });

  it("fires for a standby", async () => {
    await using standby = await startServer();
    await standby.stop("fast", { keep: true });
    await writeFile(join(standby.dataDir, "standby.signal"), "");
    await standby.restart();
    const config = configOf([{ name: "local", url: standby.url() }]);
    const found = await faults(server, config);
    expect(found).toMatchObject([
      { severity: "problem", node: "local", message: expect.stringContaining("in recovery") },
    ]);
    // Every other check copes with a server that takes no writes.
    const { findings } = await doctor(config);
    expect(findings.filter(({ message }) => message.startsWith("could not"))).toEqual([]);
  });

  it("is silent for a primary of a tested version", async () => {
    const { local } = await cluster(1);
    const [first, second] = await said(server, configOf([local]));
    expect(first).toBe("ok: every server is of a supported version and takes writes");
    expect(second).toMatch(new RegExp(`^ok local: PostgreSQL ${testMajor()}\\.\\d+$`));
  });
});

describe("same-database", () => {
  it("fires for one database by two names of its server", async () => {
    const { local } = await cluster(1);
    const other = new URL(local.url);
    other.hostname = other.hostname === "127.0.0.1" ? "localhost" : "127.0.0.1";
    const found = await faults(sameDatabase, configOf([local, { name: "external", url: other.href }]));
    expect(found).toMatchObject([
      { severity: "problem", link: "local, external", message: expect.stringContaining(local.database) },
    ]);
  });

  it("is silent for two databases, of one server and of two", async () => {
    const nodes = await cluster(3);
    expect(await faults(sameDatabase, configOf(nodes))).toEqual([]);
  });
});

describe("pooled", () => {
  it("fires for a pooler in transaction mode, by the backend that changes", async () => {
    const { local } = await cluster(1);
    const bouncer = await startPgBouncer(local.url);
    const found = await faults(pooled, configOf([{ name: "local", url: bouncer.url }]));
    expect(found).toMatchObject([
      { severity: "warning", node: "local", message: expect.stringMatching(/^a pooler gives every transaction/) },
    ]);
  });

  it("fires for a pool of one session, where the second client waits", async () => {
    const { local } = await cluster(1);
    const bouncer = await startPgBouncer(local.url, { poolSize: 1 });
    expect(await faults(pooled, configOf([{ name: "local", url: bouncer.url }]))).toMatchObject([
      { severity: "warning" },
    ]);
  });

  it("fires by the URL", async () => {
    const { local } = await cluster(1);
    const found = await faults(pooled, configOf([{ name: "local", url: `${local.url}?pgbouncer=true` }]));
    expect(found).toMatchObject([
      { severity: "warning", message: expect.stringMatching(/^the URL leads through a pooler/) },
    ]);
  });

  it("is silent for a direct connection, and for a pooler in session mode", async () => {
    const { local } = await cluster(1);
    const bouncer = await startPgBouncer(local.url, { poolMode: "session" });
    expect(await faults(pooled, configOf([local, { name: "external", url: bouncer.url }]))).toEqual([]);
  });
});

describe("encryption", () => {
  // Leads to this machine, which no rule says of it: it stands for a host that is far away.
  const far = (url: string, query: string) => `${url.replace("127.0.0.1", "0.0.0.0").replace(/\?.*$/, "")}?${query}`;

  it("fires for an unencrypted way to a host that is not local", async () => {
    await using plain = await startServer();
    const found = await faults(encryption, configOf([{ name: "local", url: far(plain.url(), "sslmode=prefer") }]));
    expect(found).toMatchObject([
      {
        severity: "warning",
        message: expect.stringContaining("not encrypted"),
        remedy: expect.stringContaining("sslmode=require"),
      },
    ]);
  });

  it("says it where nothing proves who answers, and is content with a login bound to the connection", async () => {
    await using tls = await startServer({ tls: selfSigned("localhost") });
    const url = (query: string) => configOf([{ name: "local", url: far(tls.url(), query) }]);
    expect(await faults(encryption, url("sslmode=require&channel_binding=disable"))).toMatchObject([
      { severity: "warning", message: expect.stringContaining("nobody checks") },
    ]);
    const bound = await said(encryption, url("sslmode=require"));
    expect(bound).toHaveLength(2);
    expect(bound[1]).toMatch(/^ok local: TLSv1\.\d; the certificate is not checked, the login is bound to it$/);
  });

  it("is silent on this machine", async () => {
    const { local } = await cluster(1);
    expect(await faults(encryption, configOf([local]))).toEqual([]);
    expect(
      ["localhost", "127.0.0.1", "127.9.9.9", "::1", "/var/run/postgresql"].filter((host) => !isLocal(host)),
    ).toEqual([]);
    expect(["db", "10.0.0.5", "localhost.example.com", "127.example.com"].filter(isLocal)).toEqual([]);
  });
});

describe("writable", () => {
  it("fires where transactions are read-only by default", async () => {
    const { local } = await cluster(1, { owner: true, settings: { default_transaction_read_only: "on" } });
    expect(await faults(writable, configOf([local]))).toMatchObject([{ severity: "warning", node: "local" }]);
  });

  it("is silent otherwise", async () => {
    const { local } = await cluster(1, { owner: true });
    expect(await faults(writable, configOf([local]))).toEqual([]);
  });
});

describe("clock", () => {
  /** Our own clock goes wrong after the first node was asked: to us the second server's looks late by so much. */
  function steppingClock(stepMs: number) {
    let calls = 0;
    return { ...systemClock, now: () => Date.now() + (calls++ >= 10 ? stepMs : 0) };
  }

  it("is a problem beyond max_skew and a warning beyond a second", async () => {
    const nodes = await cluster(2);
    const config = configOf(nodes, { sync: { maxSkewMs: 60_000 } });
    expect(await faults(clock, config, { clock: steppingClock(600_000) })).toMatchObject([
      {
        severity: "problem",
        link: "external, local",
        message: expect.stringMatching(
          /^the clock of local is 600\.\d s ahead of external's|^the clock of local is 599\.\d s/,
        ),
      },
    ]);
    expect(await faults(clock, config, { clock: steppingClock(-5_000) })).toMatchObject([
      {
        severity: "warning",
        message: expect.stringMatching(/^the clock of external is (5\.\d|4\.9) s ahead of local's/),
      },
    ]);
  });

  it("is silent, with the measured number, on one machine", async () => {
    const nodes = await cluster(2);
    const lines = await said(clock, configOf(nodes));
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/^ok (local|external), (local|external): the clock of \w+ is \d+ ms ahead/);
  });
});

describe("encoding", () => {
  it("fires for other encodings and other collations", async () => {
    const nodes = await cluster(2);
    const { local, external } = nodes;
    // The C locale for all but letters: the one other locale that every Debian has.
    const other = await external.admin.value(
      "select collcollate from pg_collation where collprovider = 'c' and collcollate not in ('', 'C', 'POSIX') order by collcollate limit 1",
    );
    for (const [name, how] of [
      ["latin", "encoding 'LATIN1' locale 'C'"],
      ["sorted", `encoding 'UTF8' lc_collate 'C' lc_ctype '${other}'`],
    ] as const) {
      await external.admin.query(`create database "${external.database}_${name}" template template0 ${how}`);
      afterTest(async () => {
        const client = await openClient(external.server.url);
        await client.query(`drop database "${external.database}_${name}" with (force)`);
      });
    }
    const at = (name: string) => {
      const url = new URL(external.url);
      url.pathname += `_${name}`;
      return { name, url: url.href };
    };
    expect(await faults(encoding, configOf([local, at("latin")]))).toMatchObject([
      { severity: "problem", link: "local, latin", message: expect.stringContaining("LATIN1") },
    ]);
    expect(await faults(encoding, configOf([local, at("sorted")]))).toMatchObject([
      { severity: "warning", link: "local, sorted", message: expect.stringContaining(`ctype ${other}`) },
    ]);
  });

  it("is silent for databases made alike", async () => {
    expect(await faults(encoding, configOf(await cluster(2)))).toEqual([]);
  });
});

describe("long-transactions", () => {
  it("fires for a transaction older than the limit", async () => {
    const { local } = await cluster(1);
    const client = await openClient(local.url);
    await client.query("begin; select 1");
    await sleep(60);
    const found = await faults(longTransactionsOver(50), configOf([local]));
    expect(found).toMatchObject([
      {
        severity: "warning",
        node: "local",
        message: expect.stringMatching(
          /^a transaction has been open for 00:0\d:\d\d: pid \d+, test, idle in transaction$/,
        ),
      },
    ]);
    expect(found[0]?.remedy).toMatch(/pg_terminate_backend\(\d+\)/);
    await client.query("rollback");
  });

  it("is silent for younger ones", async () => {
    const { local } = await cluster(1);
    const client = await openClient(local.url);
    await client.query("begin; select 1");
    expect(await faults(longTransactions, configOf([local]))).toEqual([]);
    await client.query("rollback");
  });
});

describe("time-limits", () => {
  it("names what is set for the role, as well", async () => {
    const { local } = await cluster(1, {
      owner: true,
      settings: { statement_timeout: "30s", idle_in_transaction_session_timeout: "5min" },
    });
    expect((await said(timeLimits, configOf([local])))[1]).toBe(
      "ok local: set for this role or server, and taken off in Tandem's own sessions: idle_in_transaction_session_timeout 300000 ms, statement_timeout 30000 ms",
    );
  });

  it("says nothing where none is set", async () => {
    const { local } = await cluster(1, { owner: true });
    expect(await said(timeLimits, configOf([local]))).toEqual(["ok: no time limit is set for the role"]);
  });
});

describe("prepared", () => {
  it("notes that prepared transactions are on, and finds one that was forgotten", async () => {
    await using other = await startServer({ settings: { max_prepared_transactions: "3" } });
    const config = configOf([{ name: "local", url: other.url() }]);
    expect((await said(prepared, config))[1]).toMatch(/^ok local: max_prepared_transactions is 3/);
    const client = await openClient(other.url());
    await client.query("begin; create table t (); prepare transaction 'left'");
    await sleep(60);
    expect(await faults(longTransactionsOver(50), config)).toMatchObject([
      { message: expect.stringContaining("prepared transaction 'left'") },
    ]);
    await client.end();
  });

  it("says nothing where they are off", async () => {
    const { local } = await cluster(1);
    expect(await said(prepared, configOf([local]))).toEqual(["ok: prepared transactions are off"]);
  });
});
