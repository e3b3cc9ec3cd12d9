import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { projectRoot } from "../support/child.ts";
import { sql } from "../support/client.ts";
import { document } from "../support/docs.ts";
import { hasEngine, startTestServers } from "../support/servers.ts";

test("auto takes containers where a Docker engine is at hand, and embedded servers where none is", async () => {
  const engine = await hasEngine();
  const { servers, stop } = await startTestServers(2, "auto");
  try {
    expect(servers.map(({ kind }) => kind)).toEqual(Array(2).fill(engine ? "testcontainers" : "embedded"));
    for (const { url, major } of servers) {
      const [row] = await sql(
        url,
        "select current_setting('server_version_num')::int / 10000 as major, current_setting('fsync') as fsync",
      );
      expect(row).toEqual({ major: String(major), fsync: "off" });
    }
    expect(new Set(servers.map(({ host, port }) => `${host}:${port}`)).size).toBe(2);
  } finally {
    await stop();
  }
  if (!engine) await expect(startTestServers(1, "testcontainers")).rejects.toThrow(/container runtime/);
  await expect(startTestServers(1, "docker")).rejects.toThrow("neither embedded, testcontainers, auto nor a URL");
});

test("the workflow runs every major on containers, with tests that are there, time limits and pinned actions", () => {
  interface Job {
    readonly "timeout-minutes": number;
    readonly env?: Record<string, string>;
    readonly strategy?: { matrix: { postgres: number[] } };
    readonly steps: { uses?: string; run?: string }[];
  }
  const { jobs } = parse(document(".github/workflows/test.yml")) as { jobs: Record<string, Job> };
  for (const { steps, ...job } of Object.values(jobs)) {
    expect(job["timeout-minutes"]).toBeGreaterThan(0);
    for (const { uses } of steps) if (uses) expect(uses).toMatch(/@[0-9a-f]{40}$/);
    for (const { run = "" } of steps)
      for (const [path] of run.matchAll(/\btest\/\S+|\.ci\/\S+/g))
        expect(existsSync(join(projectRoot, path)), path).toBe(true);
  }
  expect(jobs.images?.strategy?.matrix.postgres).toEqual([13, 14, 15, 16, 17, 18]);
  expect(jobs.images?.env).toMatchObject({ TANDEM_TEST_PG: "testcontainers" });
});
