import { execFile } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { listBackups } from "../../src/backup/list.ts";
import { unsealManifest } from "../../src/backup/manifest.ts";
import { findComponent } from "../support/components.ts";
import { codeOf } from "../support/link.ts";
import { cluster, hostileSettings, sql, testMajor } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import {
  backUp,
  backupConfig,
  fakePgDump,
  filesIn,
  linesOf,
  manifestOf,
  openGate,
  tortureSchema,
} from "./backup-support.ts";

vi.setConfig({ testTimeout: 180_000 });

const simple = `create table public.item (id int primary key, name text not null);
  insert into public.item select g, 'item ' || g from generate_series(1, 2000) g`;

/** The lines between COPY and its end, of one table of a dump. */
async function dumpedLines(path: string, table: string): Promise<string[]> {
  const restore = findComponent("pg_dump")?.replace(/pg_dump$/, "pg_restore") ?? "";
  const { stdout } = await promisify(execFile)(restore, ["--data-only", `--table=${table}`, "--file=-", path]);
  const lines = stdout.split("\n");
  const begin = lines.findIndex((line) => line.startsWith("COPY "));
  return lines.slice(begin + 1, lines.indexOf("\\.", begin));
}

describe("what a backup holds", () => {
  test("B1 every value as PostgreSQL writes it, of every type and shape (thing 11)", async () => {
    await using nodes = await cluster(1, { settings: hostileSettings });
    const { admin } = nodes.local;
    await admin.query(tortureSchema(testMajor()));
    const config = await backupConfig(nodes);
    const entry = await backUp(config);
    expect(entry).toMatchObject({ state: "complete", level: 1, reason: null, warnings: [], leftOut: [] });

    const manifest = await manifestOf(config, entry);
    expect(manifest.files.map(({ path }) => path)).toContain("database.dump");
    const tables = await admin.query(`select format('%I.%I', nspname, relname) as quoted, nspname, relname, relkind
      from pg_class c join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'p') and not relispartition
        and nspname not like 'pg\\_%' and nspname <> 'information_schema' order by nspname collate "C", relname collate "C"`);
    const counted = await Promise.all(
      tables.map(async ({ quoted, relkind, nspname, relname }) => {
        const count = await admin.value(`select count(*) from ${relkind === "r" ? "only " : ""}${quoted}`);
        return { schema: nspname, name: relname, rows: Number(count) };
      }),
    );
    expect(manifest.tables.map(({ schema, name, rows }) => ({ schema, name, rows }))).toEqual(counted);

    const named = (end: string) => `public.${manifest.tables.find(({ name }) => name.endsWith(` ${end}`))?.name}`;
    const linesOfTable = (table: string) => linesOf(config, entry, table);
    expect(await linesOfTable("public.no_key")).toEqual([
      '{"a":"1","b":"same"}',
      '{"a":"1","b":"same"}',
      '{"a":null,"b":null}',
    ]);
    expect(await linesOfTable("public.derived")).toContain('{"id":"3","a":"3"}');
    expect(await linesOfTable("public.no_columns")).toEqual(["{}", "{}"]);
    expect(await linesOfTable("public.parent")).toEqual(['{"id":"1","note":"parent"}']);
    expect((await linesOfTable(named("char(8)")))[0]).toBe('{"id":"1","v":"ab      "}');
    expect((await linesOfTable(named("inet")))[1]).toBe('{"id":"2","v":"192.168.0.1"}');
    expect(await linesOfTable(named("public.pair"))).toContain('{"id":"2","v":"(,,)"}');
    expect(await linesOfTable(named("int8"))).toContain('{"id":"2","v":"9223372036854775807"}');
    expect(manifest.sequences).toContainEqual({ schema: "public", name: "loose", lastValue: "41", isCalled: true });
  });

  test("B1 uncompressed on demand; what belongs to a provider is left out of both formats, and named", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(`${simple}; create schema auth; create table auth.users (id int primary key)`);
    const config = await backupConfig(nodes, { compress: false });
    const entry = await backUp(config);
    expect(entry.leftOut).toEqual([
      { name: "auth.users", reason: "belongs to the provider's schema auth, in neither format" },
    ]);
    expect(await linesOf(config, entry, "public.item")).toHaveLength(2000);
    expect((await filesIn(config)).map((path) => path.slice(config.backup.dir.length + 1))).toEqual([
      `${entry.id}/database.dump`,
      `${entry.id}/json/public.item.ndjson`,
      `${entry.id}/manifest.json`,
    ]);
  });

  test("B2 nobody else may read it, and every byte of it is accounted for", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const config = await backupConfig(nodes);
    const { id } = await backUp(config);
    for (const path of await filesIn(config)) expect((await stat(path)).mode & 0o777, path).toBe(0o600);
    expect((await stat(join(config.backup.dir, id))).mode & 0o777).toBe(0o700);
    const text = await readFile(join(config.backup.dir, id, "manifest.json"), "utf8");
    for (const [from, to] of [
      ['"rows": 2000', '"rows": 2001'],
      ['"local"', '"lokal"'],
      ["}\n", "}\n\n"],
    ] as const) {
      expect(text).toContain(from);
      expect(() => unsealManifest(text.replace(from, to), "it")).toThrow(/it was changed/);
    }
  });

  const turns = Number(process.env.TURNS ?? 6);
  const patient = { timeout: 120_000 + turns * 20_000 };
  test(
    "B1 both formats and the hashes show one moment, while a writer keeps sums and pairs together (thing 8)",
    patient,
    async () => {
      await using nodes = await cluster(1);
      const { admin, url } = nodes.local;
      await admin.query(`create table public.one (id int primary key, n int not null); create table public.two (id int primary key, n int not null);
      insert into public.one select g, 100 from generate_series(1, 50) g; insert into public.two select g, 100 from generate_series(1, 50) g;
      create table public.head (id bigint generated always as identity primary key); create table public.line (id bigint primary key references head)`);
      const config = await backupConfig(nodes);
      let writing = true;
      const write = async (): Promise<number> => {
        const { connectClient } = await import("../support/client.ts");
        const client = await connectClient(url, "writer");
        let n = 0;
        for (; writing; n++) {
          await client.query(`begin; update one set n = n - ${n % 7} where id = ${1 + (n % 50)}; update two set n = n + ${n % 7} where id = ${1 + ((n * 3) % 50)};
          with h as (insert into head default values returning id) insert into line select id from h; commit`);
        }
        await client.end();
        return n;
      };
      const written = write();
      try {
        const sum = (lines: string[], n: (line: string) => string) =>
          lines.reduce((all, line) => all + Number(n(line)), 0);
        for (let turn = 0; turn < turns; turn++) {
          const entry = await backUp(config);
          const json = (table: string) => linesOf(config, entry, `public.${table}`);
          const n = (line: string) => (JSON.parse(line) as { n: string }).n;
          expect(sum(await json("one"), n) + sum(await json("two"), n)).toBe(10_000);
          const dump = (table: string) => dumpedLines(join(config.backup.dir, entry.id, "database.dump"), table);
          const cell = (line: string) => line.split("\t")[1] ?? "";
          expect(sum(await dump("one"), cell) + sum(await dump("two"), cell)).toBe(10_000);
          const ids = async (table: string) =>
            (await json(table)).map((line) => (JSON.parse(line) as { id: string }).id).sort();
          expect(await ids("line")).toEqual(await ids("head"));
          expect((await dump("line")).sort()).toEqual(await ids("head"));
          expect(
            (await json("one")).map((line) => Object.values(JSON.parse(line) as object).join("\t")).sort(),
          ).toEqual((await dump("one")).sort());
        }
      } finally {
        writing = false;
      }
      expect(await written).toBeGreaterThan(20);
    },
  );

  test("B1 a change of a table that comes between the snapshot and pg_dump's own locks skews nothing (thing 9)", async () => {
    await using nodes = await cluster(1);
    const { admin, url } = nodes.local;
    await admin.query(simple);
    const pgBin = await fakePgDump(`await_gate; exec "$real" "$@"`);
    const config = await backupConfig(nodes, { pgBin });
    const change = "alter table item alter column name type bytea using name::bytea";
    const waits = "select true from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let altered: Promise<unknown> | undefined;
    const onProgress = () => {
      altered ??= Promise.all([sql(url, change), waitFor(() => admin.value(waits)).then(() => openGate(pgBin))]);
    };
    // It waits for the backup, and pg_dump for it: the backup gives way, whole.
    expect(await codeOf(backUp(config, { onProgress }))).toBe("program_failed");
    await altered;
    expect(await filesIn(config)).toEqual([]);
    const type =
      "select format_type(atttypid, null) from pg_attribute where attrelid = 'item'::regclass and attname = 'name'";
    expect(await admin.value(type)).toBe("bytea");
    const after = await backUp(config);
    expect((await manifestOf(config, after)).tables[0]?.columns[1]?.type).toBe("bytea");
    expect((await dumpedLines(join(config.backup.dir, after.id, "database.dump"), "item"))[0]).toMatch(/^1\t\\\\x/);
  });
});

describe("a backup that fails is none", () => {
  /** Fails with the code; the earlier backup is as it was, nothing is left, the failure is on record. */
  async function expectFailure(
    config: Awaited<ReturnType<typeof backupConfig>>,
    code: string,
    words: RegExp,
    make: () => Promise<unknown>,
  ): Promise<void> {
    const before = await filesIn(config);
    const known = (await listBackups(config.backup.dir)).failures.length;
    const error = await make().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    expect(String(error)).toMatch(words);
    expect(await filesIn(config)).toEqual(before);
    const { failures, unsealed } = await listBackups(config.backup.dir);
    expect(unsealed).toEqual([]);
    expect(failures).toHaveLength(known + 1);
    expect(failures.at(-1)).toMatchObject({ code, node: "local" });
  }

  test.each([
    [
      "writes 1 MB, closes stdout, and fails later (thing 2)",
      `head -c 1048576 /dev/zero > "$file"; exec 1>&-; sleep 0.5; exit 1`,
      "program_failed",
      /ended with 1/,
    ],
    ["fails with words", `echo "pg_dump: error: no luck" >&2; exit 1`, "program_failed", /no luck/],
    ["writes nothing and says well (thing 3)", `: > "$file"; exit 0`, "program_failed", /pg_restore ended with 1/],
    ["does nothing and says well", "exit 0", "program_failed", /pg_restore ended with 1/],
    ["takes its file away and says well", `rm "$file"`, "backup_storage", /database\.dump cannot be used/],
    [
      "is cut off at 60 % and says well (thing 3)",
      `"$real" "$@" && truncate -s $(( $(stat -c %s "$file") * 60 / 100 )) "$file"`,
      "program_failed",
      /pg_restore ended with 1/,
    ],
    [
      "lacks a table and says well",
      `"$real" "$@" --exclude-table-data=public.item`,
      "backup_damaged",
      /public\.item has 2,000 rows, and the dump lacks it/,
    ],
    [
      "has lost rows and says well",
      `await_gate; args=("$@"); "$real" "\${args[@]/--snapshot=*/--no-sync}"`,
      "backup_damaged",
      /public\.item has 2,000 rows, and the dump holds 1,999/,
    ],
    ["is killed", "kill -9 $$", "program_failed", /SIGKILL/],
  ])("B1 a pg_dump that %s", async (_, script, code, words) => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const config = await backupConfig(nodes);
    await backUp(config);
    const pgBin = await fakePgDump(script);
    let deleted: Promise<unknown> | undefined;
    await expectFailure(config, code, words, () =>
      backUp(config, {
        pgBin,
        // So that a dump of another snapshot shows another state.
        onProgress: () => {
          if (!script.includes("await_gate")) return;
          deleted ??= sql(nodes.local.url, "delete from item where id = 7").then(() => openGate(pgBin));
        },
      }),
    );
    await deleted;
  });

  test("B1 warnings of a pg_dump that succeeds are kept, and are no failure (thing 5)", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const pgBin = await fakePgDump(`echo "pg_dump: warning: circular" >&2; exec "$real" "$@"`);
    const config = await backupConfig(nodes, { pgBin });
    expect(await backUp(config)).toMatchObject({ state: "complete", warnings: ["pg_dump: warning: circular"] });
  });

  test("B1 without a pg_dump that fits there is the JSON half, and it says so (thing 4)", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const pgBin = await fakePgDump("");
    await writeFile(join(pgBin, "pg_dump"), "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n");
    const config = await backupConfig(nodes, { pgBin });
    const entry = await backUp(config);
    expect(entry.state).toBe("degraded");
    expect(entry.reason).toMatch(
      new RegExp(`${testMajor()} or later are needed; found: pg_dump \\(PostgreSQL\\) 9.6.24`),
    );
    expect(await linesOf(config, entry, "public.item")).toHaveLength(2000);
    await expectFailure(config, "no_client_program", /9\.6\.24/, () => backUp(config, { requireDump: true }));
  });

  test("B1 the first error when the session of the rows, of the lock or of pg_dump is ended (thing 7)", async () => {
    await using nodes = await cluster(1);
    const { admin } = nodes.local;
    await admin.query(
      `${simple}; create table public.big as select g as id, repeat(md5(g::text), 8) as text from generate_series(1, 150000) g`,
    );
    const config = await backupConfig(nodes);
    for (const who of ["tandem/backup % rows", "tandem/backup pg_dump", "tandem/backup ____-%Z"]) {
      const killed = waitFor(
        async () =>
          (await admin.value(
            // a session that is still being opened fails otherwise
            `select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like $1
               and (state = 'idle in transaction' or query ~* '\\mcopy\\M')`,
            [who],
          )) !== "0",
        { every: 5, what: who },
      );
      await expectFailure(config, who.includes("pg_dump") ? "program_failed" : "connection_lost", /./, () =>
        backUp(config),
      );
      await killed;
    }
  });

  test("B1 a table that the role may not read, or whose rows a policy hides (thing 10)", async () => {
    await using nodes = await cluster(1, { owner: true });
    const { admin, owner } = nodes.local;
    await admin.query(
      `${simple}; alter table item owner to "${owner}"; create table public.secret (id int primary key)`,
    );
    const config = await backupConfig(nodes);
    await expectFailure(config, "permission_denied", /may not read public\.secret/, () => backUp(config));
    await admin.query(
      `grant select on secret to "${owner}"; alter table secret enable row level security; insert into secret values (1)`,
    );
    await expectFailure(config, "rls_hides_rows", /public\.secret/, () => backUp(config));
    const dumpAlone = await fakePgDump(`exec "$real" "$@"`);
    await expectFailure(config, "rls_hides_rows", /./, () => backUp(config, { pgBin: dumpAlone }));
    await admin.query(`alter table secret disable row level security`);
    expect(await backUp(config)).toMatchObject({ state: "complete", tables: 2 });
  });

  test("B1 stopped by a signal", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const config = await backupConfig(nodes, { pgBin: await fakePgDump("exec sleep 60") });
    const stop = new AbortController();
    await expectFailure(config, "stopped", /./, () =>
      backUp(config, { signal: stop.signal, onProgress: () => stop.abort() }),
    );
  });

  test("B1 an address where no server is (thing 1)", async () => {
    await using nodes = await cluster(1);
    const config = await backupConfig(nodes);
    const wrong = { ...config, nodes: [{ name: "local", url: "postgresql://u:geheim-9f3@127.0.0.1:1/x" }] };
    await expectFailure(config, "cannot_connect", /ECONNREFUSED/, () => backUp(wrong));
    expect(
      await codeOf(
        backUp({ ...config, nodes: [{ name: "local", url: nodes.local.url.replace(/\/[^/]*$/, "/nowhere") }] }),
      ),
    ).toBe("database_missing");
    expect(JSON.stringify(await listBackups(config.backup.dir))).not.toContain("geheim");
  });
});
