import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "dotenv";

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The nodes of a folder without a file, and the variables that hold their URLs. */
export const standardVariables = { local: "DATABASE_URL", external: "EXTERNAL_DB_URL" } as const;

const environmentFiles = [".env", ".env.sync"] as const;

async function readVariables(path: string): Promise<Record<string, string>> {
  try {
    return parse(await readFile(path, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw error;
  }
}

/** Variables and where they come from. */
export interface EnvironmentLayer {
  /** A file's name, or `environment`. */
  readonly from: string;
  readonly variables: Environment;
}

/** All that counts, the weakest first: `.env`, `.env.sync`, the real environment. `process.env` is never changed. */
export async function readLayers(cwd: string, env: Environment): Promise<EnvironmentLayer[]> {
  const files = await Promise.all(
    environmentFiles.map(async (from) => ({ from, variables: await readVariables(join(cwd, from)) })),
  );
  return [...files, { from: "environment", variables: env }];
}

/** Lays the layers over each other. A variable that is set but empty counts as not set: templates have such lines. */
export function mergeLayers(layers: readonly EnvironmentLayer[]): Environment {
  const set = layers.flatMap(({ variables }) => Object.entries(variables).filter(([, value]) => value));
  return Object.fromEntries(set);
}
