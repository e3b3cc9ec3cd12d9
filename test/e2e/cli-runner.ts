import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { type TandemOptions, type TandemResult, tandem, tempFolder } from "../support/child.ts";
import type { Cluster } from "../support/pg.ts";

/** No output of any command may hold one of these. */
export const password = "geheim-9f3.Kx";

function passwordsOf(options: TandemOptions): string[] {
  const urls = Object.values(options.env ?? {}).filter((value) => value?.startsWith("postgres"));
  const found = urls.map((url) => /:\/\/[^:/]*:(.*)@/.exec(url ?? "")?.[1] ?? "");
  return [password, encodeURIComponent(password), ...found].filter((text) => text.length > 5 && text !== "tandem");
}

/** What holds of every output: one line where an error is told, no stack trace, no password. */
export function expectClean({ stdout, stderr }: { stdout: string; stderr: string }, options: TandemOptions = {}): void {
  for (const output of [stdout, stderr]) {
    expect(output).not.toMatch(/^\s+at .*[:(]/m);
    expect(output).not.toMatch(/node:internal|file:\/\/|\.js:\d+|\bTypeError\b|\bReferenceError\b|UnhandledPromise/);
    for (const secret of passwordsOf(options)) expect(output).not.toContain(secret);
  }
}

/** Runs a command in a folder of its own; its output is checked for what no output may hold. */
export async function run(args: string[], options: TandemOptions = {}): Promise<TandemResult> {
  const result = await tandem(args, options);
  expectClean(result, options);
  return result;
}

/** With `--json`: the exit code and the one document of stdout. */
export async function runJson<T = Record<string, never>>(
  args: string[],
  options: TandemOptions = {},
): Promise<{ code: number | null; document: T; stderr: string }> {
  const { code, stdout, stderr } = await run([...args, "--json"], options);
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  return { code, document: JSON.parse(stdout) as T, stderr };
}

/** A folder without configuration, and the variables of a cluster's nodes. */
export async function folderFor(nodes: Cluster, file?: string): Promise<TandemOptions & { cwd: string }> {
  const cwd = await tempFolder();
  if (file !== undefined) await writeFile(join(cwd, "tandem.yaml"), file);
  return { cwd, env: { DATABASE_URL: nodes.local.url, EXTERNAL_DB_URL: nodes.external.url } };
}

/** The same URL with something else in it. */
export function changed(url: string, change: (url: URL) => void): string {
  const parsed = new URL(url);
  change(parsed);
  return parsed.href;
}
