import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { isCronSchedule } from "../../src/config/cron.ts";
import { parseDuration } from "../../src/config/duration.ts";
import { findEnvironment, renderInitialConfig } from "../../src/config/init.ts";
import { type LoadOptions, loadConfig } from "../../src/config/load.ts";
import { matchesTable, ruleFor } from "../../src/config/table-pattern.ts";

const local = "postgresql://u:s3cret-a@h/local";
const external = "postgresql://u:s3cret-b@h/external";
const both = { DATABASE_URL: local, EXTERNAL_DB_URL: external };
const nodes = `nodes:
  local:    { url: "\${DATABASE_URL}" }
  external: { url: "\${EXTERNAL_DB_URL}" }
`;

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tandem-config-"));
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

async function load(yaml: string | null, options: Partial<LoadOptions> = {}) {
  if (yaml !== null) await writeFile(join(cwd, "tandem.yaml"), yaml);
  return loadConfig({ cwd, env: both, ...options });
}

async function faultsOf(yaml: string | null, options: Partial<LoadOptions> = {}): Promise<string[]> {
  const error = await load(yaml, options).catch((reason: unknown) => reason);
  if (!(error instanceof ConfigError)) throw new Error("no fault was found", { cause: error });
  expect(error.message).not.toContain("s3cret");
  return error.faults.map(({ place, path, message }) => `${place} ${path}: ${message}`);
}

describe("a good configuration", () => {
  it("is the one of the manual", async () => {
    const config = await load(
      `${nodes}tables:
  - public.*
  - { name: public.perfis, conflict: newest, updated_at: changed }
  - { name: public.precos, conflict: "prefer: local" }
exclude: [ public.session ]
sync:   { interval: 1500ms, batch_rows: 500, max_skew: 5m, retention: 7d, keep_conflicts: 90d, seed: local, sequences: interleave, heartbeat: 30s }
verify: { every: 1h }
http:   { listen: "127.0.0.1:7420", token: "\${TANDEM_TOKEN}" }
backup:
  dir: kept
  jobs:
    - { name: five-minutes, node: external, schedule: "*/5 * * * *", keep_last: 50 }
    - { name: visits, node: local, after_change: [ public.visitas ], keep_days: 3, prove: daily }
`,
      { env: { ...both, TANDEM_TOKEN: "1234567890123456" } },
    );
    expect(config).toEqual({
      file: join(cwd, "tandem.yaml"),
      nodes: [
        { name: "local", url: local },
        { name: "external", url: external },
      ],
      links: [
        { source: "local", target: "external" },
        { source: "external", target: "local" },
      ],
      tables: [
        { name: "public.*", conflict: "newest", updatedAt: null },
        { name: "public.perfis", conflict: "newest", updatedAt: "changed" },
        { name: "public.precos", conflict: "prefer: local", updatedAt: null },
      ],
      exclude: ["public.session"],
      sync: {
        intervalMs: 1500,
        batchRows: 500,
        maxSkewMs: 300_000,
        retentionMs: 604_800_000,
        keepConflictsMs: 7_776_000_000,
        seed: "local",
        sequences: "interleave",
        heartbeatMs: 30_000,
        verifyEveryMs: 3_600_000,
      },
      http: { listen: "127.0.0.1:7420", token: "1234567890123456", hosts: [] },
      alerts: expect.objectContaining({ targets: [] }),
      backup: {
        dir: join(cwd, "kept"),
        pgBin: null,
        compress: true,
        scratch: null,
        timeZone: "UTC",
        store: null,
        encrypt: null,
        include: [],
        includeRoot: cwd,
        includeSecrets: false,
        jobs: [
          {
            name: "five-minutes",
            node: "external",
            schedule: "*/5 * * * *",
            afterChange: null,
            keepLast: 50,
            keepDays: null,
            keepDaily: null,
            keepWeekly: null,
            keepMonthly: null,
            include: null,
            proveEveryMs: null,
          },
          {
            name: "visits",
            node: "local",
            schedule: null,
            afterChange: ["public.visitas"],
            keepLast: null,
            keepDays: 3,
            keepDaily: null,
            keepWeekly: null,
            keepMonthly: null,
            include: null,
            proveEveryMs: 86_400_000,
          },
        ],
      },
    });
  });

  it("needs no file: two variables are two nodes", async () => {
    const config = await load(null);
    expect(config.file).toBeNull();
    expect(config.nodes).toEqual([
      { name: "local", url: local },
      { name: "external", url: external },
    ]);
    expect(config.tables).toBeNull();
    expect(config.sync).toEqual({
      intervalMs: 1000,
      batchRows: 100_000,
      maxSkewMs: 300_000,
      retentionMs: 604_800_000,
      keepConflictsMs: 2_419_200_000,
      seed: null,
      sequences: "past",
      heartbeatMs: null,
      verifyEveryMs: 86_400_000,
    });
    expect(config.backup).toEqual({
      dir: join(cwd, "backups"),
      pgBin: null,
      compress: true,
      scratch: null,
      timeZone: "UTC",
      store: null,
      encrypt: null,
      include: [],
      includeRoot: cwd,
      includeSecrets: false,
      jobs: [],
    });
  });

  it("knows a store of backups, in a folder or a bucket, and whom to encrypt for", async () => {
    const recipient = "age1phxq9hmhdaj3k4djapkzxc0fuxxs6vht0gh7gzfy8h42x4spsvhstug23u";
    const other = await load(
      `${nodes}backup: { store: { folder: ../nas }, encrypt: { recipients: [ ${recipient} ], identity: key.txt } }`,
    );
    expect(other.backup.store).toEqual({ kind: "folder", path: join(cwd, "../nas") });
    expect(other.backup.encrypt).toEqual({ recipients: [recipient], identity: join(cwd, "key.txt") });
    const amazon = await load(`${nodes}backup: { store: { bucket: b } }`);
    expect(amazon.backup.store).toEqual({
      ...{ kind: "s3", bucket: "b", prefix: "", endpoint: null, region: null, pathStyle: false },
      ...{ checksums: "when_supported", credentials: null },
    });
    const secret = "s3cret-access-key";
    const { store } = (
      await load(
        `${nodes}backup: { store: { bucket: b, prefix: /a/b/, endpoint: "https://x", access_key_id: id, secret_access_key: "\${KEY}" } }`,
        { env: { ...both, KEY: secret } },
      )
    ).backup;
    expect(store).toMatchObject({ prefix: "a/b/", region: "us-east-1", pathStyle: true, checksums: "when_required" });
    expect(store?.kind === "s3" && store.credentials?.secretAccessKey).toBe(secret);
    expect(JSON.stringify(store) + inspect(store, { depth: 9 })).not.toContain("s3cret");
  });

  it("with a file, the environment counts only where the file names it", async () => {
    const config = await load(`nodes: { one: { url: "${local}" } }\nsync:\nhttp:\n`);
    expect(config.nodes.map(({ name }) => name)).toEqual(["one"]);
    expect(config.links).toEqual([]);
  });

  it("reads .env and .env.sync; the real environment is stronger, an empty variable is none", async () => {
    await writeFile(join(cwd, ".env"), `DATABASE_URL=${local}\nEXTERNAL_DB_URL=postgresql://from/env\n`);
    await writeFile(join(cwd, ".env.sync"), "EXTERNAL_DB_URL=postgresql://from/sync\n");
    const urls = async (env: Record<string, string>) => (await load(null, { env })).nodes.map(({ url }) => url);
    expect(await urls({})).toEqual([local, "postgresql://from/sync"]);
    expect(await urls({ EXTERNAL_DB_URL: external })).toEqual([local, external]);
    expect(await urls({ EXTERNAL_DB_URL: "" })).toEqual([local, "postgresql://from/sync"]);
  });

  it("puts variables in as they are, and keeps $${…}", async () => {
    const odd = `a: "b" # {c} $X \${Y}`;
    const config = await load(`${nodes}http: { token: "x\${ODD}y$\${ODD}" }`, { env: { ...both, ODD: odd } });
    expect(config.http.token).toBe(`x${odd}y\${ODD}`);
    const unquoted = await load(`nodes:\n  local:\n    url: \${DATABASE_URL}\nsync:\n  batch_rows: \${N}\n`, {
      env: { ...both, N: "7" },
    });
    expect(unquoted.nodes[0]?.url).toBe(local);
    expect(unquoted.sync.batchRows).toBe(7);
  });

  it("has alerts with sound limits, and hides where they go", async () => {
    const { targets, rules, ...times } = (await load(nodes)).alerts;
    expect({ targets, ...times }).toEqual({ targets: [], everyMs: 60_000, repeatMs: 6 * 3_600_000 });
    expect(rules).toMatchObject({ linkDownMs: 120_000, lagMs: 900_000, shrunkPercent: 50, diverged: true });
    const { alerts } = await load(`${nodes}alerts:
  repeat: off
  rules: { lag: 1h, parked: off, diverged: off, conflicts_per_hour: 7 }
  targets:
    - { name: chat, slack: "https://h.example/s3cret-slack" }
    - { name: mail, email: "smtp://u:s3cret-mail@h.example", from: "T <t@h.example>", to: [a@h.example] }
`);
    expect(alerts).toMatchObject({
      repeatMs: null,
      rules: { lagMs: 3_600_000, parkedMs: null, diverged: false, conflictsPerHour: 7 },
      targets: [
        { kind: "slack", url: "https://h.example/s3cret-slack" },
        { kind: "email", from: "T <t@h.example>", to: ["a@h.example"] },
      ],
    });
    expect(`${JSON.stringify(alerts)} ${inspect(alerts)}`).not.toContain("s3cret");
  });

  it("names every fault of alerts with its place", async () => {
    expect(
      await faultsOf(`${nodes}alerts:
  every: 1
  repeat: 59s
  rules: { lag: soon, disk_low: 100, diverged: maybe, lagg: 1m }
  targets:
    - { name: a, slack: "https://h/s3cret", discord: "https://h/s3cret" }
    - { name: a, webhook: "ftp://h/s3cret", secret: "0123456789abcdef" }
    - { name: b, webhook: "https://h/s3cret" }
    - { name: c, email: "smtp://h", from: "x", to: [] }
    - { name: d, ping: "https://h/s3cret", to: [a@b.c] }
`),
    ).toEqual([
      "tandem.yaml:5:10 alerts.every: must be a text",
      "tandem.yaml:6:11 alerts.repeat: must be 1m or more, or off",
      "tandem.yaml:7:17 alerts.rules.lag: must be a time such as 5m, or off",
      "tandem.yaml:7:33 alerts.rules.disk_low: must be a percentage from 1 to 99, or off",
      "tandem.yaml:7:48 alerts.rules.diverged: must be one of on, off",
      'tandem.yaml:7:55 alerts.rules.lagg: unknown key "lagg", did you mean "lag"?',
      "tandem.yaml:9:7 alerts.targets[0]: needs exactly one of webhook, slack, discord, email, ping",
      'tandem.yaml:10:15 alerts.targets[1].name: there is another target "a"',
      "tandem.yaml:10:27 alerts.targets[1].webhook: must be a URL that begins with https:// or http://",
      "tandem.yaml:11:7 alerts.targets[2]: needs a secret where it is a webhook, and only there",
      "tandem.yaml:12:43 alerts.targets[3].from: must be an address, as ops@example.com",
      "tandem.yaml:12:52 alerts.targets[3].to: must name an address",
      "tandem.yaml:13:7 alerts.targets[4]: needs from and to where it is email, and only there",
    ]);
  });

  it("listens on this machine only, elsewhere only with a token, or not at all", async () => {
    expect((await load(nodes)).http).toEqual({ listen: "127.0.0.1:7420", token: null, hosts: [] });
    expect((await load(`${nodes}http: { listen: off }`)).http.listen).toBe(null);
    const token = "0123456789abcdef";
    for (const listen of ["0.0.0.0:80", "[::]:80", "10.0.0.7:80", "db.example.com:80"]) {
      expect(await faultsOf(`${nodes}http: { listen: "${listen}" }`)).toEqual([
        "tandem.yaml:4:17 http.listen: others can reach this address: it needs http.token",
      ]);
      expect((await load(`${nodes}http: { listen: "${listen}", token: "${token}" }`)).http.listen).toBe(listen);
    }
    for (const listen of ["127.0.0.1:0", "127.1.2.3:80", "localhost:80", "[::1]:80"]) {
      expect((await load(`${nodes}http: { listen: "${listen}" }`)).http.token).toBe(null);
    }
    expect(await faultsOf(`${nodes}http: { token: "${token.slice(1)}", hosts: ["a:80"] }`)).toEqual([
      "tandem.yaml:4:16 http.token: must have 16 characters or more",
      expect.stringMatching(/^tandem.yaml:4:\d+ http.hosts\[0\]: must be the name of a machine, without port/),
    ]);
  });

  it("lets flags win", async () => {
    const flags = { "sync.batch_rows": 5, "sync.seed": undefined, "http.listen": "[::1]:1" };
    const config = await load(`${nodes}sync: { batch_rows: 9, seed: local }`, { flags });
    expect(config.sync).toMatchObject({ batchRows: 5, seed: "local" });
    expect(config.http.listen).toBe("[::1]:1");
    expect(await faultsOf(nodes, { flags: { "sync.interval": "soon" } })).toEqual([
      expect.stringMatching(/^command line sync.interval: write a number and its unit/),
    ]);
  });

  it("is frozen, and hides passwords from JSON and from inspection", async () => {
    const config = await load(nodes);
    expect(Object.isFrozen(config.sync)).toBe(true);
    expect(Object.isFrozen(config.nodes[0])).toBe(true);
    expect(JSON.stringify(config)).not.toContain("s3cret");
    expect(inspect(config, { depth: 9 })).not.toContain("s3cret");
    expect(config.nodes[0]?.url).toContain("s3cret");
  });

  it("takes another file by name", async () => {
    await writeFile(join(cwd, "other.yaml"), nodes);
    expect((await load(null, { file: "other.yaml" })).file).toBe(join(cwd, "other.yaml"));
    expect(await faultsOf(null, { file: "none.yaml" })).toEqual([expect.stringContaining("there is no such file")]);
  });
});

describe("faults", () => {
  it("come all together, each with its place", async () => {
    const yaml = `nodes:
  local: { url: "\${NOT_SET}" }
  External: { url: "${external}" }
  third: { uri: x }
tabels: []
tables:
  - session
  - { name: public.a, conflict: oldest }
sync:
  intervall: 1s
  batch_rows: -1
  max_skew: 5
  sequences: none
  heartbeat: 900ms
verify: { every: 10s }
http: { listen: "here" }
backup:
  jobs:
    - { name: a, node: local, schedule: "61 * * * *", keep_last: 0 }
    - { name: b, node: local, retain: 1 }
`;
    expect((await faultsOf(yaml)).sort()).toEqual(
      [
        "tandem.yaml:2:17 nodes.local.url: the environment variable NOT_SET is not set",
        "tandem.yaml:3:3 nodes.External: the name must begin with a small letter, then small letters, digits, _ or -, 30 at most",
        "tandem.yaml:4:10 nodes.third.url: is missing; it must be a text",
        'tandem.yaml:4:12 nodes.third.uri: unknown key "uri", did you mean "url"?',
        'tandem.yaml:5:1 tabels: unknown key "tabels", did you mean "tables"?',
        "tandem.yaml:7:5 tables[0].name: must be schema.table or schema.*, for example public.session",
        'tandem.yaml:8:33 tables[1].conflict: must be newest, or "prefer: NODE"',
        'tandem.yaml:10:3 sync.intervall: unknown key "intervall", did you mean "interval"?',
        "tandem.yaml:11:15 sync.batch_rows: must be a whole number from 1",
        "tandem.yaml:12:13 sync.max_skew: must be a text",
        "tandem.yaml:13:14 sync.sequences: must be one of past, interleave",
        "tandem.yaml:14:14 sync.heartbeat: must be 1s or more, or off",
        "tandem.yaml:15:18 verify.every: must be 1m or more, or off",
        "tandem.yaml:16:17 http.listen: must be host:port, for example 127.0.0.1:7420, or off",
        'tandem.yaml:19:41 backup.jobs[0].schedule: must have five fields as cron has them: minute hour day month weekday, for example "0 3 * * *"',
        "tandem.yaml:19:66 backup.jobs[0].keep_last: must be a whole number from 1",
        'tandem.yaml:20:31 backup.jobs[1].retain: unknown key "retain"',
        "tandem.yaml:20:7 backup.jobs[1]: needs a schedule or after_change",
      ].sort(),
    );
  });

  it("of syntax name the place and quote nothing", async () => {
    const faults = await faultsOf(`nodes:\n  local: { url: "${local}"\n  x: [\n`);
    expect(faults[0]).toMatch(/^tandem.yaml:\d+:\d+ : /);
    expect(await faultsOf(`${nodes}sync: {}\nsync: {}\n`)).toEqual(["tandem.yaml:5:1 : Map keys must be unique"]);
  });

  it("of stores and recipients, and quotes no key", async () => {
    const key = "AGE-SECRET-KEY-1s3cret";
    const of = (backup: string) => faultsOf(`${nodes}backup: ${backup}`).then((faults) => faults.join("\n"));
    const mistyped = "age1phxq9hmhdaj3k4djapkzxc0fuxxs6vht0gh7gzfy8h42x4spsvhstug23v";
    for (const recipient of [key, mistyped])
      expect(await of(`{ store: { folder: x }, encrypt: { recipients: [ ${recipient} ] } }`)).toContain(
        "backup.encrypt.recipients[0]: must be a public key of age (age1…)",
      );
    expect(await of(`{ encrypt: { recipients: [ ${mistyped.slice(0, -1)}u ] } }`)).toContain("encrypt needs a store");
    expect(await of("{ store: { folder: x, bucket: y } }")).toContain("needs either a folder or a bucket");
    expect(await of("{ store: { prefix: x } }")).toContain("needs either a folder or a bucket");
    expect(await of("{ store: { folder: x, prefix: y } }")).toContain("what belongs to a bucket means nothing there");
    expect(await of("{ store: { bucket: x, access_key_id: y } }")).toContain("needs both access_key_id");
    expect(await of('{ store: { bucket: x, endpoint: "https://a:s3cret@b" } }')).toContain("holds no password");
    expect(await of("{ store: { bucket: x, pathstyle: true } }")).toContain('did you mean "path_style"');
  });

  it("of references", async () => {
    const yaml = `${nodes}sync: { seed: lokal }
tables: [{ name: a.b, conflict: { prefer: elsewhere } }]
links: [[local, externl]]
backup:
  jobs:
    - { name: a, node: x, schedule: "0 3 * * *" }
    - { name: a, node: local, after_change: [a.*] }
    - { name: c, node: local }
`;
    expect((await faultsOf(yaml)).sort()).toEqual(
      [
        "tandem.yaml:11:7 backup.jobs[2]: needs a schedule or after_change",
        'tandem.yaml:4:15 sync.seed: there is no node "lokal", did you mean "local"?',
        'tandem.yaml:5:33 tables[0].conflict: there is no node "elsewhere"',
        'tandem.yaml:6:17 links[0][1]: there is no node "externl", did you mean "external"?',
        'tandem.yaml:9:24 backup.jobs[0].node: there is no node "x"',
        'tandem.yaml:10:15 backup.jobs[1].name: there is another job "a"',
      ].sort(),
    );
  });

  it("of URLs never show them", async () => {
    expect(await faultsOf('nodes: { a: { url: "mysql://u:s3cret@h/db" } }')).toEqual([
      expect.stringMatching(/^tandem.yaml:1:20 nodes.a.url: not a PostgreSQL URL/),
    ]);
    await rm(join(cwd, "tandem.yaml"));
    expect(await faultsOf(null, { env: { DATABASE_URL: "u:s3cret@h/db" } })).toEqual([
      expect.stringMatching(/^DATABASE_URL nodes.local.url: not a PostgreSQL URL/),
    ]);
  });

  it("two URLs of one database have a code of their own", async () => {
    const same = { DATABASE_URL: "postgres://a:s3cret@H/db", EXTERNAL_DB_URL: "postgresql://b@h:5432/db" };
    const error = await load(null, { env: same }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "same_database", message: expect.stringContaining("node local (h:5432/db)") });
  });

  it("nothing at all says what to do", async () => {
    expect(await faultsOf(null, { env: {} })).toEqual([expect.stringContaining("run `tandem init`")]);
    expect(await faultsOf("")).toEqual(["tandem.yaml:1:1 nodes: is missing; it must be a mapping of keys to values"]);
    expect(await faultsOf("- a\n")).toEqual([expect.stringContaining("must be a mapping of keys to values")]);
    expect(await faultsOf("nodes: {}\n")).toEqual(["tandem.yaml:1:8 nodes: must name at least one node"]);
  });

  it("a broken reference to a variable", async () => {
    const faults = await faultsOf(`${nodes}http: { token: "\${A-B}" }\nbackup: { dir: "\${X" }`);
    expect(faults).toEqual([
      expect.stringMatching(/^tandem.yaml:4:16 http.token: after \$\{ come/),
      expect.stringMatching(/^tandem.yaml:5:16 backup.dir: after \$\{ come/),
    ]);
  });
});

describe("tandem init", () => {
  it("writes a file that loads, with names of variables and no URL", async () => {
    await writeFile(join(cwd, ".env"), `DATABASE_URL=${local}\nOFFICE_DATABASE_URL=postgres://x:s3cret@y/z\nOTHER=1\n`);
    const found = await findEnvironment({ cwd, env: { EXTERNAL_DB_URL: external } });
    expect(found.variables).toEqual([
      { name: "DATABASE_URL", from: ".env" },
      { name: "EXTERNAL_DB_URL", from: "environment" },
      { name: "OFFICE_DATABASE_URL", from: ".env" },
    ]);
    const text = renderInitialConfig(found);
    expect(text).not.toContain("s3cret");
    expect(text).toContain(`# office: { url: "\${OFFICE_DATABASE_URL}" }`);
    const config = await load(text);
    expect(config.nodes.map(({ name }) => name)).toEqual(["local", "external"]);
    const uncommented = text.replaceAll(
      /^( *)# (?=(exclude|verify|http|backup|alerts|tables|links|seed|sequences):| +)/gm,
      "$1",
    );
    const urls = {
      SLACK_WEBHOOK_URL: "https://h.example/x",
      SMTP_URL: "smtp://h.example",
      PING_URL: "https://h.example/y",
    };
    const whole = await load(uncommented, { env: { ...both, ...urls, TANDEM_TOKEN: "0123456789abcdef" } });
    expect(whole.backup.jobs).toHaveLength(1);
    expect(whole.alerts.targets.map(({ kind }) => kind)).toEqual(["slack", "email", "ping"]);
  });

  it("says what is missing when there is nothing", () => {
    expect(renderInitialConfig({ variables: [] })).toContain("not set yet: write it into .env.sync");
  });
});

it("parseDuration", () => {
  expect(["500ms", "1s", "1.5s", "5m", "1h", "7d"].map(parseDuration)).toEqual([
    500, 1000, 1500, 300_000, 3_600_000, 604_800_000,
  ]);
  for (const bad of ["", "5", "1 week", "-1s", "s"]) expect(() => parseDuration(bad)).toThrow(/unit/);
});

it("isCronSchedule", () => {
  for (const good of ["* * * * *", "*/5 0-3,7 1 jan-mar MON", "0 3 * * 7"]) expect(isCronSchedule(good)).toBe(true);
  for (const bad of ["* * * *", "60 * * * *", "*/0 * * * *", "a * * * *", "* * 0 * *", "1-2-3 * * * *"]) {
    expect(isCronSchedule(bad)).toBe(false);
  }
});

it("patterns of tables", () => {
  expect(matchesTable("public.*", "public", "Perfis")).toBe(true);
  expect(matchesTable("public.perfis", "public", "Perfis")).toBe(false);
  expect(matchesTable("*.log_*", "a", "log_x")).toBe(true);
  expect(matchesTable("public.a.b", "public", "a.b")).toBe(false);
  expect(matchesTable('public."a.b"', "public", "a.b")).toBe(true);
  expect(matchesTable('public."*"', "public", "x")).toBe(false);
  const rules = ["public.*", "public.a", "*.*"].map((name) => ({ name, conflict: "newest" as const, updatedAt: null }));
  expect(ruleFor(rules, "public", "a")?.name).toBe("public.a");
  expect(ruleFor(rules, "public", "b")?.name).toBe("*.*");
  expect(ruleFor(rules.slice(0, 1), "other", "b")).toBeNull();
});
