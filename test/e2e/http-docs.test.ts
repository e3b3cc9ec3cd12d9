import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { endpoints } from "../../src/http/endpoints.ts";
import { projectRoot } from "../support/child.ts";
import { pgDump, skipUnless } from "../support/components.ts";
import { waitFor } from "../support/wait.ts";
import { ask, serve, token } from "./http-support.ts";

vi.setConfig({ testTimeout: 300_000 });

/** Runs a script; each line is told before it runs, so that a failure is found. */
async function bash(script: string, env: Record<string, string>): Promise<{ code: number | null; text: string }> {
  const child = spawn("bash", ["-c", script], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  return { code, text };
}

test("every command of docs/http.md does what it says, and every path is named there", async () => {
  skipUnless("curl");
  const text = await readFile(join(projectRoot, "docs", "http.md"), "utf8");
  const unnamed = endpoints.filter(({ path }) => {
    const [head = "", tail] = path.split(/:id/);
    return !text.includes(head) || (tail !== undefined && !text.includes(tail));
  });
  expect(unnamed.map(({ path }) => path)).toEqual([]);

  const { nodes, url } = await serve(
    "create table item (id int primary key, name text)",
    `backup: { dir: kept, pg_bin: "${dirname(pgDump())}" }\n`,
  );
  await using _ = nodes;
  // Something for each of them: a conflict, and a row that stays parked.
  await nodes.local.admin.query("insert into item values (1, 'first')");
  await waitFor(async () => (await nodes.external.admin.value("select name from item")) === "first");
  await nodes.local.admin.query("begin; update item set name = 'lost' where id = 1");
  await nodes.external.admin.query("update item set name = 'won' where id = 1");
  await nodes.local.admin.query("commit");
  const { admin } = nodes.external;
  await waitFor(async () => (await ask<{ rows: unknown[] }>(url, "/api/conflicts")).body.rows.length > 0);
  await admin.query("alter table item add check (id < 10)");
  await nodes.local.admin.query("insert into item values (11, 'x')");
  await waitFor(async () => (await ask<{ rows: unknown[] }>(url, "/api/parked")).body.rows.length > 0);

  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  expect(blocks.length).toBeGreaterThanOrEqual(5);
  // A status that is no success ends the script.
  const commands = blocks
    .join("\n")
    .replaceAll("http://127.0.0.1:7420", url)
    .replaceAll(/\bcurl -s/g, "curl --fail-with-body -s");
  const { code, text: said } = await bash(`set -euo pipefail; set -v\n${commands}`, { TANDEM_TOKEN: token });
  expect({ code, said: code === 0 ? "" : said.slice(-3_000) }).toEqual({ code: 0, said: "" });
  expect(said).toContain("event: status");
  expect(await admin.value("select reason from tandem.dropped")).toBe("entered twice");
  await waitFor(
    async () =>
      (await admin.value("select count(*)::text from tandem.conflicts where restored_at is not null")) !== "0" ||
      (await nodes.local.admin.value("select count(*)::text from tandem.conflicts where restored_at is not null")) !==
        "0",
  );
});
