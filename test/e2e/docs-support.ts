import { spawn } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { expect } from "vitest";
import { projectRoot, tempFolder } from "../support/child.ts";
import { skipUnless } from "../support/components.ts";
import { type Cluster, cluster } from "../support/pg.ts";

/** Where the commands of a document are run. */
export interface Place {
  readonly nodes: Cluster;
  readonly cwd: string;
  readonly env: Record<string, string>;
}

/** Two databases with rows on one side, and a folder from which `tandem` and `npx tandem` run this clone's build. */
export async function place(ddl: string, file?: string): Promise<Place> {
  const nodes = await cluster(2);
  for (const { admin } of nodes) await admin.query(ddl);
  const cwd = await tempFolder();
  const bin = join(cwd, "bin");
  await mkdir(bin);
  const program = `exec "${process.execPath}" "${join(projectRoot, "dist", "cli", "main.js")}" "$@"\n`;
  await writeFile(join(bin, "tandem"), `#!/bin/sh\n${program}`);
  await writeFile(join(bin, "npx"), `#!/bin/sh\nshift\n${program}`);
  for (const name of ["tandem", "npx"]) await chmod(join(bin, name), 0o755);
  if (file !== undefined) await writeFile(join(cwd, "tandem.yaml"), file);
  const path = [bin, dirname(skipUnless("psql")), process.env.PATH ?? ""].join(delimiter);
  return { nodes, cwd, env: { PATH: path, DATABASE_URL: nodes.local.url, EXTERNAL_DB_URL: nodes.external.url } };
}

/** Runs a script whose every line must do; each is told before it runs, so that a failure is found. */
export async function script(text: string, { cwd, env }: Place): Promise<string> {
  const child = spawn("bash", ["-c", `set -euo pipefail; set -v\n${text}`], {
    cwd,
    env: { ...process.env, ...env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
    });
  const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  expect({ code, said: code === 0 ? "" : said.slice(-3_000) }).toEqual({ code: 0, said: "" });
  return said;
}
