import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startTestServers, type TestServer } from "./servers.ts";

declare module "vitest" {
  export interface ProvidedContext {
    tandemServers: TestServer[];
    tandemRunFolder: string;
  }
}

/** One set of servers for the whole run: two, so that every test has nodes of two real instances. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = await startTestServers(2);
  const folder = await mkdtemp(join(tmpdir(), "tandem-test-"));
  project.provide("tandemServers", started.servers);
  project.provide("tandemRunFolder", folder);
  return async () => {
    // a failed test's databases are worth nothing without their servers
    if (process.env.TANDEM_TEST_KEEP && existsSync(join(folder, "kept"))) {
      process.stderr.write("the servers stay up for the kept databases; Ctrl-C ends them\n");
      await new Promise((resolve) => process.once("SIGINT", resolve));
    }
    await started.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
