import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { knownStore } from "../../src/backup/store-state.ts";
import { tempFolder } from "../support/child.ts";
import { skipBecause } from "../support/components.ts";
import { configOf } from "../support/config.ts";

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
