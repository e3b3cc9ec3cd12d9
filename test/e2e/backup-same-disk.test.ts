import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";

import { knownStore, listWithStore, type StoreList } from "../../src/backup/store-state.ts";
import { describeList } from "../../src/cli/backup-text.ts";
import { loadConfig } from "../../src/config/load.ts";
import { tandem, tempFolder } from "../support/child.ts";
import { pgDump, skipBecause } from "../support/components.ts";
import { configOf } from "../support/config.ts";
import { cluster } from "../support/pg.ts";
import { prepare } from "./verify-support.ts";

afterEach(() => void vi.unstubAllEnvs());

test("a store on the disk of the backups is no help when that is lost, and is said to be none", async () => {
  const [dir, near] = [join(await tempFolder(), "backups"), await tempFolder()];
  const config = configOf([]);
  const stored = async (path: string) =>
    await knownStore({ ...config, backup: { ...config.backup, dir, store: { kind: "folder", path } } });
  // Before the first backup there is no folder to look at.
  expect(await stored(near)).toMatchObject({ sameDisk: false });
  await mkdir(dir);
  expect(await stored(near)).toMatchObject({ sameDisk: true });
  expect(await stored(join(near, "missing"))).toMatchObject({ sameDisk: false });
  const memory = "/dev/shm";
  const other = await stat(memory).catch(() => null);
  if (other === null || other.dev === (await stat(dir)).dev) skipBecause("a second disk");
  const far = await mkdtemp(join(memory, "tandem-"));
  try {
    expect(await stored(far)).toMatchObject({ sameDisk: false });
  } finally {
    await rm(far, { recursive: true });
  }
});

test("C11 a backup that is lost with one disk is amber, though there is a store on it, in create, list and status", async () => {
  await using nodes = await cluster(1);
  await prepare(nodes, "create table item (id int primary key)");
  const cwd = await tempFolder();
  await mkdir(join(cwd, "store"));
  const env = { DATABASE_URL: nodes.local.url };
  await writeFile(
    join(cwd, "tandem.yaml"),
    `nodes: { local: { url: "\${DATABASE_URL}" } }
backup: { pg_bin: ${dirname(pgDump())}, store: { folder: ${join(cwd, "store")} }, jobs: [ { name: daily, node: local, schedule: "0 3 * * *" } ] }\n`,
  );
  const made = await tandem(["backup", "create"], { cwd, env });
  const line = `${join(cwd, "store")} is on the disk of the backups: it is lost with them.`;
  expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining(line) });
  expect(made.stdout).not.toContain("A copy is in the store.");
  const status = await tandem(["status"], { cwd, env });
  expect(status).toMatchObject({ code: 0, stdout: expect.stringMatching(/daily .* here, same disk/) });
  expect(status.stdout).toContain(line);

  // Nobody looks at the test in colours.
  vi.stubEnv("FORCE_COLOR", "1");
  const list = await listWithStore(await loadConfig({ cwd, env }));
  const amberLines = ({ backups, store, ...rest }: StoreList) =>
    describeList({ ...rest, backups, store }, true)
      .split("\n")
      .filter((text) => text.startsWith("\u001b[33m"))
      .map((text) => /here, same disk|only here|is on the disk|here, store/.exec(text)?.[0]);
  const far = list.store && { ...list.store, sameDisk: false };
  expect(amberLines(list)).toEqual(["here, same disk", "is on the disk"]);
  expect(amberLines({ ...list, store: far })).toEqual([]);
  const here = list.backups.map((entry) => ({ ...entry, places: ["folder" as const] }));
  expect(amberLines({ ...list, backups: here, store: far })).toEqual(["only here"]);
});
