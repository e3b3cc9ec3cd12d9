import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { both, ConfigFolder, external, local, nodes } from "./config-support.ts";

const folder = new ConfigFolder();

describe("a good configuration", () => {
  it("is the one of the manual", async () => {
    const config = await folder.load(
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
      file: join(folder.path, "tandem.yaml"),
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
        dir: join(folder.path, "kept"),
        pgBin: null,
        compress: true,
        scratch: null,
        timeZone: "UTC",
        store: null,
        encrypt: null,
        include: [],
        includeRoot: folder.path,
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
    const config = await folder.load(null);
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
      dir: join(folder.path, "backups"),
      pgBin: null,
      compress: true,
      scratch: null,
      timeZone: "UTC",
      store: null,
      encrypt: null,
      include: [],
      includeRoot: folder.path,
      includeSecrets: false,
      jobs: [],
    });
  });

  it("knows a store of backups, in a folder or a bucket, and whom to encrypt for", async () => {
    const recipient = "age1phxq9hmhdaj3k4djapkzxc0fuxxs6vht0gh7gzfy8h42x4spsvhstug23u";
    const other = await folder.load(
      `${nodes}backup: { store: { folder: ../nas }, encrypt: { recipients: [ ${recipient} ], identity: key.txt } }`,
    );
    expect(other.backup.store).toEqual({ kind: "folder", path: join(folder.path, "../nas") });
    expect(other.backup.encrypt).toEqual({ recipients: [recipient], identity: join(folder.path, "key.txt") });
    const amazon = await folder.load(`${nodes}backup: { store: { bucket: b } }`);
    expect(amazon.backup.store).toEqual({
      ...{ kind: "s3", bucket: "b", prefix: "", endpoint: null, region: null, pathStyle: false },
      ...{ checksums: "when_supported", credentials: null },
    });
    const secret = "s3cret-access-key";
    const { store } = (
      await folder.load(
        `${nodes}backup: { store: { bucket: b, prefix: /a/b/, endpoint: "https://x", access_key_id: id, secret_access_key: "\${KEY}" } }`,
        { env: { ...both, KEY: secret } },
      )
    ).backup;
    expect(store).toMatchObject({ prefix: "a/b/", region: "us-east-1", pathStyle: true, checksums: "when_required" });
    expect(store?.kind === "s3" && store.credentials?.secretAccessKey).toBe(secret);
    expect(JSON.stringify(store) + inspect(store, { depth: 9 })).not.toContain("s3cret");
  });

  it("with a file, the environment counts only where the file names it", async () => {
    const config = await folder.load(`nodes: { one: { url: "${local}" } }\nsync:\nhttp:\n`);
    expect(config.nodes.map(({ name }) => name)).toEqual(["one"]);
    expect(config.links).toEqual([]);
  });

  it("reads .env and .env.sync; the real environment is stronger, an empty variable is none", async () => {
    await writeFile(join(folder.path, ".env"), `DATABASE_URL=${local}\nEXTERNAL_DB_URL=postgresql://from/env\n`);
    await writeFile(join(folder.path, ".env.sync"), "EXTERNAL_DB_URL=postgresql://from/sync\n");
    const urls = async (env: Record<string, string>) => (await folder.load(null, { env })).nodes.map(({ url }) => url);
    expect(await urls({})).toEqual([local, "postgresql://from/sync"]);
    expect(await urls({ EXTERNAL_DB_URL: external })).toEqual([local, external]);
    expect(await urls({ EXTERNAL_DB_URL: "" })).toEqual([local, "postgresql://from/sync"]);
  });

  it("puts variables in as they are, and keeps $${…}", async () => {
    const odd = `a: "b" # {c} $X \${Y}`;
    const config = await folder.load(`${nodes}http: { token: "x\${ODD}y$\${ODD}" }`, { env: { ...both, ODD: odd } });
    expect(config.http.token).toBe(`x${odd}y\${ODD}`);
    const unquoted = await folder.load(`nodes:\n  local:\n    url: \${DATABASE_URL}\nsync:\n  batch_rows: \${N}\n`, {
      env: { ...both, N: "7" },
    });
    expect(unquoted.nodes[0]?.url).toBe(local);
    expect(unquoted.sync.batchRows).toBe(7);
  });

  it("has alerts with sound limits, and hides where they go", async () => {
    const { targets, rules, ...times } = (await folder.load(nodes)).alerts;
    expect({ targets, ...times }).toEqual({ targets: [], everyMs: 60_000, repeatMs: 6 * 3_600_000 });
    expect(rules).toMatchObject({ linkDownMs: 120_000, lagMs: 900_000, shrunkPercent: 50, diverged: true });
    const { alerts } = await folder.load(`${nodes}alerts:
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
      await folder.faultsOf(`${nodes}alerts:
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
    expect((await folder.load(nodes)).http).toEqual({ listen: "127.0.0.1:7420", token: null, hosts: [] });
    expect((await folder.load(`${nodes}http: { listen: off }`)).http.listen).toBe(null);
    const token = "0123456789abcdef";
    for (const listen of ["0.0.0.0:80", "[::]:80", "10.0.0.7:80", "db.example.com:80"]) {
      expect(await folder.faultsOf(`${nodes}http: { listen: "${listen}" }`)).toEqual([
        "tandem.yaml:4:17 http.listen: others can reach this address: it needs http.token",
      ]);
      expect((await folder.load(`${nodes}http: { listen: "${listen}", token: "${token}" }`)).http.listen).toBe(listen);
    }
    for (const listen of ["127.0.0.1:0", "127.1.2.3:80", "localhost:80", "[::1]:80"]) {
      expect((await folder.load(`${nodes}http: { listen: "${listen}" }`)).http.token).toBe(null);
    }
    expect(await folder.faultsOf(`${nodes}http: { token: "${token.slice(1)}", hosts: ["a:80"] }`)).toEqual([
      "tandem.yaml:4:16 http.token: must have 16 characters or more",
      expect.stringMatching(/^tandem.yaml:4:\d+ http.hosts\[0\]: must be the name of a machine, without port/),
    ]);
  });

  it("lets flags win", async () => {
    const flags = { "sync.batch_rows": 5, "sync.seed": undefined, "http.listen": "[::1]:1" };
    const config = await folder.load(`${nodes}sync: { batch_rows: 9, seed: local }`, { flags });
    expect(config.sync).toMatchObject({ batchRows: 5, seed: "local" });
    expect(config.http.listen).toBe("[::1]:1");
    expect(await folder.faultsOf(nodes, { flags: { "sync.interval": "soon" } })).toEqual([
      expect.stringMatching(/^command line sync.interval: write a number and its unit/),
    ]);
  });

  it("is frozen, and hides passwords from JSON and from inspection", async () => {
    const config = await folder.load(nodes);
    expect(Object.isFrozen(config.sync)).toBe(true);
    expect(Object.isFrozen(config.nodes[0])).toBe(true);
    expect(JSON.stringify(config)).not.toContain("s3cret");
    expect(inspect(config, { depth: 9 })).not.toContain("s3cret");
    expect(config.nodes[0]?.url).toContain("s3cret");
  });

  it("takes another file by name", async () => {
    await writeFile(join(folder.path, "other.yaml"), nodes);
    expect((await folder.load(null, { file: "other.yaml" })).file).toBe(join(folder.path, "other.yaml"));
    expect(await folder.faultsOf(null, { file: "none.yaml" })).toEqual([
      expect.stringContaining("there is no such file"),
    ]);
  });
});
