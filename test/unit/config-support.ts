import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { type LoadOptions, loadConfig } from "../../src/config/load.ts";

export const local = "postgresql://u:s3cret-a@h/local";
export const external = "postgresql://u:s3cret-b@h/external";
export const both = { DATABASE_URL: local, EXTERNAL_DB_URL: external };
export const nodes = `nodes:
  local:    { url: "\${DATABASE_URL}" }
  external: { url: "\${EXTERNAL_DB_URL}" }
`;

/** A folder for each test of a file, in which its configuration lies. */
export class ConfigFolder {
  #path = "";

  constructor() {
    beforeEach(async () => {
      this.#path = await mkdtemp(join(tmpdir(), "tandem-config-"));
    });
    afterEach(() => rm(this.#path, { recursive: true, force: true }));
  }

  get path(): string {
    return this.#path;
  }

  /** Loads it, from this text where there is one. */
  async load(yaml: string | null, options: Partial<LoadOptions> = {}) {
    if (yaml !== null) await writeFile(join(this.#path, "tandem.yaml"), yaml);
    return loadConfig({ cwd: this.#path, env: both, ...options });
  }

  /** What loading it finds wrong, one line each. */
  async faultsOf(yaml: string | null, options: Partial<LoadOptions> = {}): Promise<string[]> {
    const error = await this.load(yaml, options).catch((reason: unknown) => reason);
    if (!(error instanceof ConfigError)) throw new Error("no fault was found", { cause: error });
    expect(error.message).not.toContain("s3cret");
    return error.faults.map(({ place, path, message }) => `${place} ${path}: ${message}`);
  }
}
