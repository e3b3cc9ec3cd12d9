import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigFolder, external, local, nodes } from "./config-support.ts";

const folder = new ConfigFolder();

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
    expect((await folder.faultsOf(yaml)).sort()).toEqual(
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
    const faults = await folder.faultsOf(`nodes:\n  local: { url: "${local}"\n  x: [\n`);
    expect(faults[0]).toMatch(/^tandem.yaml:\d+:\d+ : /);
    expect(await folder.faultsOf(`${nodes}sync: {}\nsync: {}\n`)).toEqual([
      "tandem.yaml:5:1 : Map keys must be unique",
    ]);
  });

  it("of stores and recipients, and quotes no key", async () => {
    const key = "AGE-SECRET-KEY-1s3cret";
    const of = (backup: string) => folder.faultsOf(`${nodes}backup: ${backup}`).then((faults) => faults.join("\n"));
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
    expect((await folder.faultsOf(yaml)).sort()).toEqual(
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
    expect(await folder.faultsOf('nodes: { a: { url: "mysql://u:s3cret@h/db" } }')).toEqual([
      expect.stringMatching(/^tandem.yaml:1:20 nodes.a.url: not a PostgreSQL URL/),
    ]);
    await rm(join(folder.path, "tandem.yaml"));
    expect(await folder.faultsOf(null, { env: { DATABASE_URL: "u:s3cret@h/db" } })).toEqual([
      expect.stringMatching(/^DATABASE_URL nodes.local.url: not a PostgreSQL URL/),
    ]);
  });

  it("two URLs of one database have a code of their own", async () => {
    const same = { DATABASE_URL: "postgres://a:s3cret@H/db", EXTERNAL_DB_URL: "postgresql://b@h:5432/db" };
    const error = await folder.load(null, { env: same }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "same_database", message: expect.stringContaining("node local (h:5432/db)") });
  });

  it("nothing at all says what to do", async () => {
    expect(await folder.faultsOf(null, { env: {} })).toEqual([expect.stringContaining("run `tandem init`")]);
    expect(await folder.faultsOf("")).toEqual([
      "tandem.yaml:1:1 nodes: is missing; it must be a mapping of keys to values",
    ]);
    expect(await folder.faultsOf("- a\n")).toEqual([expect.stringContaining("must be a mapping of keys to values")]);
    expect(await folder.faultsOf("nodes: {}\n")).toEqual(["tandem.yaml:1:8 nodes: must name at least one node"]);
  });

  it("a broken reference to a variable", async () => {
    const faults = await folder.faultsOf(`${nodes}http: { token: "\${A-B}" }\nbackup: { dir: "\${X" }`);
    expect(faults).toEqual([
      expect.stringMatching(/^tandem.yaml:4:16 http.token: after \$\{ come/),
      expect.stringMatching(/^tandem.yaml:5:16 backup.dir: after \$\{ come/),
    ]);
  });
});
