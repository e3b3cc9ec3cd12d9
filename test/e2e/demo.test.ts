import { chmod, readdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { runDemo } from "../../src/demo/demo.ts";
import { spawnTandem, type TandemProcess, tempFolder } from "../support/child.ts";
import { sql } from "../support/client.ts";
import { waitFor } from "../support/wait.ts";

const deadlineMs = 170_000;

/** The demo with a temporary folder of its own, so that what it leaves behind is seen. */
async function startDemo(args: string[] = []): Promise<{ demo: TandemProcess; left: () => Promise<string[]> }> {
  const folder = await tempFolder();
  await chmod(folder, 0o1777); // as /tmp: the servers may run as another user, who removes them
  const demo = spawnTandem(["demo", ...args], { env: { TMPDIR: folder } });
  // a copy of the server's programs may stay, for the next time
  const folders = async () => (await readdir(folder)).filter((name) => name.startsWith("tandem-pg-"));
  return { demo, left: async () => [...(await folders()), ...(await processesNaming(folder))] };
}

/** Command lines of processes that name the folder; none where there is no /proc. */
async function processesNaming(folder: string): Promise<string[]> {
  const ids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")));
  return lines.filter((line) => line.includes(folder));
}

function numbers(text: string, pattern: RegExp): number[] {
  const found = pattern.exec(text);
  expect(found, `${pattern} in\n${text}`).not.toBeNull();
  return found!.slice(1).map((part) => Number(part.replaceAll(",", "")));
}

describe("tandem demo", { timeout: deadlineMs + 10_000 }, () => {
  test("C3: ends by itself, with conflicts decided and both databases identical, and leaves nothing", async () => {
    const { demo, left } = await startDemo(["--seconds", "5"]);
    const urls = [];
    for (const name of ["local", "external"]) {
      const line = await demo.waitForLine(new RegExp(`^ +${name} +psql "`), { deadlineMs });
      urls.push(/"(.*)"/.exec(line)?.[1] ?? "");
    }
    expect(await sql(urls[1]!, "select count(*) >= 1500 as copied from public.orders")).toEqual([{ copied: "t" }]);
    const { code, stdout, stderr } = await demo.ended(deadlineMs);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    const [seenByExternal = 0, seenByLocal = 0] = numbers(
      stdout,
      /Conflicts decided: (\d+) seen by external, (\d+) seen by local\./,
    );
    expect(seenByExternal + seenByLocal).toBeGreaterThan(0);
    expect(stdout).toMatch(/One of them: .* local set its price to [\d.]+, external to [\d.]+/);
    const [tables = 0, rows = 0] = numbers(
      stdout,
      /identical, all (\d+) tables with ([\d,]+) rows, compared by content/,
    );
    expect(tables).toBe(7);
    expect(rows).toBeGreaterThan(7000);
    const [transactions = 0, failures] = numbers(stdout, /stopped after (\d+) transactions, (\d+) of which failed/);
    expect(transactions).toBeGreaterThan(10);
    expect(failures).toBe(0);
    expect(stdout).not.toContain("\x1b");
    for (const url of urls) await expect(sql(url, "select 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(await left()).toEqual([]);
  });

  test("the page answers at the address that is told, its buttons take the token; Ctrl-C ends the writing, and all is brought to rest and compared", async () => {
    const { demo, left } = await startDemo();
    const line = await demo.waitForLine("--config", { deadlineMs });
    expect(await readdir(dirname(line.trim().split(" ").at(-1)!))).toContain("tandem.yaml");
    await demo.waitForLine(/^ +\d+ s {2}local → external: \d+ pending/, { deadlineMs });
    const [url, token] = await Promise.all(
      ["page", "token"].map(
        async (what) => (await demo.waitForLine(new RegExp(`^  ${what} `), { deadlineMs })).trim().split(/ +/)[1]!,
      ),
    );
    const ask = (path: string, init: RequestInit) => fetch(`${url}${path}`, init).catch(() => null);
    // It answers once its program is loaded, which may be after the links have begun.
    await waitFor(async () => (await ask("/", { headers: { accept: "text/html" } }))?.ok === true, { deadlineMs });
    const shown = await ask("/", { headers: { accept: "text/html" } });
    expect(await shown?.text()).toContain("<title>Tandem");
    const paused = await ask("/api/links/local:external/pause", {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await paused?.json()).toMatchObject({ paused: true, changed: true });
    process.kill(demo.pid, "SIGINT");
    const { code, stdout } = await demo.ended(deadlineMs);
    expect(code, stdout).toBe(0);
    expect(stdout).toContain("local → external was paused; it works again");
    expect(stdout).toContain("local and external are identical");
    expect(await left()).toEqual([]);
  });

  test("Ctrl-C before there is anything to compare ends it too", async () => {
    const { demo, left } = await startDemo();
    await demo.waitForLine("local holds a sample shop", { deadlineMs });
    process.kill(demo.pid, "SIGINT");
    const { code, stdout, stderr } = await demo.ended(deadlineMs);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    expect(stdout).toContain("Stopped before anything could be verified.");
    expect(await left()).toEqual([]);
  });

  test("killed, it leaves no server and no folder either", async () => {
    const { demo, left } = await startDemo();
    await demo.waitForLine("local holds a sample shop", { deadlineMs });
    expect(await left()).not.toEqual([]);
    await demo.kill("SIGKILL");
    await waitFor(async () => (await left()).length === 0, { deadlineMs: 120_000, what: left });
  });

  test("without the programs of PostgreSQL it says what to do", async () => {
    const said: string[] = [];
    const out = { write: (text: string) => said.push(text) > 0 } as unknown as NodeJS.WritableStream;
    const demo = runDemo({ major: 99, signal: new AbortController().signal, out, isTerminal: false });
    await expect(demo).rejects.toMatchObject({
      message: `no PostgreSQL 99 programs for ${process.platform}-${process.arch} are installed`,
      hint: expect.stringContaining("npm ci"),
    });
  });
});
