import { chmod, mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { choosePrograms, findPrograms } from "../../src/backup/client-programs.ts";
import { tempFolder } from "../support/child.ts";

// Versions that no machine has: what is installed here plays no part.
const places: Record<string, string> = {};
const script = (version: string) => `#!/bin/sh\necho 'pg_dump (PostgreSQL) ${version}'\n`;

async function place(name: string, texts: Record<string, string>): Promise<void> {
  const folder = join(await tempFolder(), name);
  places[name] = folder;
  await mkdir(folder);
  for (const [program, text] of Object.entries(texts)) {
    await writeFile(join(folder, program), text);
    await chmod(join(folder, program), 0o755);
  }
}

beforeAll(async () => {
  for (const version of ["91.2", "93.1", "95.7"])
    await place(version, { pg_dump: script(version), pg_restore: script(version) });
  await place("again", { pg_dump: script("93.9"), pg_restore: script("93.9") });
  await place("half", { pg_dump: script("92.1") });
  await place("broken", { pg_dump: "#!/bin/sh\nexit 1\n", pg_restore: script("92.1") });
  await place("silent", { pg_dump: "#!/bin/sh\n", pg_restore: script("92.1") });
  await place("empty", {});
});

const path = (...names: string[]) => names.map((name) => places[name] ?? `/nonexistent/${name}`).join(delimiter);
const dumpIn = (name: string) => join(places[name] ?? "", "pg_dump");

test("the smallest that fits the server, of those on the path; halves and what does not run are passed over", async () => {
  const env = { PATH: path("missing", "half", "broken", "silent", "empty", "95.7", "91.2", "93.1") };
  const chosen = async (major: number) => (await choosePrograms(major, { env })).dump;
  expect([await chosen(91), await chosen(92), await chosen(93), await chosen(94)]).toEqual(
    ["91.2", "93.1", "93.1", "95.7"].map(dumpIn),
  );
  await expect(chosen(96)).rejects.toMatchObject({
    code: "no_client_program",
    message: expect.stringMatching(/^pg_dump and pg_restore 96 or later are needed; found: .*93\.1.*95\.7/),
    hint: expect.stringContaining("postgresql-client-96"),
  });
});

test("PG_BIN_DIR comes before the path; the folder that is named is the only one", async () => {
  const env = { PATH: path("93.1", "95.7"), PG_BIN_DIR: places.again };
  expect((await choosePrograms(92, { env })).version).toBe("pg_dump (PostgreSQL) 93.9");
  expect((await choosePrograms(94, { env })).dump).toBe(dumpIn("95.7"));
  expect(await findPrograms({ env, folder: places["91.2"] })).toMatchObject([{ major: 91, dump: dumpIn("91.2") }]);
  await expect(choosePrograms(92, { env, folder: places["91.2"] })).rejects.toThrow(
    /found: pg_dump \(PostgreSQL\) 91\.2$/,
  );
  await expect(choosePrograms(92, { env, folder: places.empty })).rejects.toThrow(/found: none at all$/);
});
