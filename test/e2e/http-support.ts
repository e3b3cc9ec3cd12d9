import { writeFile } from "node:fs/promises";
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request as send } from "node:http";
import { join } from "node:path";
import { expect } from "vitest";
import { endpoints } from "../../src/http/endpoints.ts";
import { failureDocument } from "../../src/http/failure.ts";
import { spawnTandem, type TandemProcess, tandem, tempFolder } from "../support/child.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { expectClean } from "./cli-runner.ts";

/** What the configurations of these tests have. */
export const token = "a-token-that-nobody-guesses-7Fq";

/** An answer. */
export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Null where the answer is no JSON. */
  readonly body: T;
}

/** What is sent. */
export interface Sent {
  readonly method?: string;
  /** Sent as JSON; a text as it is. */
  readonly body?: unknown;
  readonly token?: string | null;
  readonly headers?: OutgoingHttpHeaders;
}

/** Sends one request to a base URL; what comes back is held to the schema of its endpoint. */
export async function ask<T = unknown>(base: string, path: string, sent: Sent = {}): Promise<Answer<T>> {
  const { method = "GET", body, token: given = null, headers = {} } = sent;
  const text = typeof body === "string" ? body : body === undefined ? undefined : JSON.stringify(body);
  const answer = await new Promise<Answer<T>>((resolve, reject) => {
    const request = send(
      new URL(path, base),
      {
        method,
        agent: false,
        headers: {
          ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
          ...(given !== null && { authorization: `Bearer ${given}` }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const whole = Buffer.concat(chunks).toString("utf8");
          const json = response.headers["content-type"]?.startsWith("application/json") === true;
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: whole,
            body: (json ? JSON.parse(whole) : null) as T,
          });
        });
      },
    );
    request.on("error", reject);
    request.end(text);
  });
  expectForm(method, path.split("?")[0] ?? "", answer);
  return answer;
}

/** Every answer is what the document says, holds no secret and no trace of the program's insides. */
function expectForm(method: string, path: string, { status, text, body }: Answer): void {
  expectClean({ stdout: text, stderr: "" });
  expect(text).not.toContain(token);
  if (status >= 400 && status !== 503) {
    expect(failureDocument.safeParse(body).error, text).toBe(undefined);
    return;
  }
  const matches = (pattern: string) => new RegExp(`^${pattern.replace(/:\w+/g, "[^/]+")}$`).test(path);
  const found = endpoints.find((one) => one.method === method && [one.path, ...one.aliases].some(matches));
  const form = status === 202 ? found?.later : found?.answer;
  if (status === 503 && failureDocument.safeParse(body).success) return;
  if (form) expect(form.safeParse(body).error, `${method} ${path}: ${text.slice(0, 2_000)}`).toBe(undefined);
}

/** A sidecar that serves HTTP, with its nodes. */
export interface Served {
  readonly nodes: Cluster;
  readonly cwd: string;
  readonly sidecar: TandemProcess;
  readonly url: string;
}

/** The URL that a sidecar says it listens on. */
export async function urlOf(sidecar: TandemProcess): Promise<string> {
  const line = await sidecar.waitForLine("HTTP is there");
  return (JSON.parse(line) as { url: string }).url;
}

/** A folder with the configuration of a cluster. */
export async function folderOf(
  nodes: Cluster,
  more = "",
  http = `{ listen: "127.0.0.1:0", token: "${token}" }`,
  sync = "interval: 100ms",
) {
  const cwd = await tempFolder();
  const lines = nodes.nodes.map(({ name, url }) => `  ${name}: { url: "${url}" }`);
  await writeFile(join(cwd, "tandem.yaml"), `nodes:\n${lines.join("\n")}\nsync: { ${sync} }\nhttp: ${http}\n${more}`);
  return { cwd };
}

/** Nodes with these tables, installed and brought together, and a sidecar that has caught up. */
export async function serve(ddl: string, more = "", count = 2, sync?: string): Promise<Served> {
  const nodes = await cluster(count);
  for (const { admin } of nodes) await admin.query(ddl);
  const at = await folderOf(nodes, more, undefined, sync);
  for (const command of ["migrate", "sync"]) {
    const { code, stderr } = await tandem([command], at);
    expect({ command, code, stderr: code === 0 ? "" : stderr }).toEqual({ command, code: 0, stderr: "" });
  }
  const sidecar = spawnTandem(["run"], at);
  for (const { name } of nodes) {
    await sidecar.waitForLine(new RegExp(`"target":"${name}".*caught up`));
  }
  return { nodes, ...at, sidecar, url: await urlOf(sidecar) };
}

/** What a link is doing, as its sidecar says; its id is SOURCE:TARGET. */
export async function stateOf(url: string, id: string): Promise<string | undefined> {
  const { body } = await ask<{ links: { id: string; here: { state: string } | null }[] }>(url, "/api/links");
  return body.links.find((link) => link.id === id)?.here?.state;
}

/** Pauses a link and waits until it rests: a round that was under way when it was paused may still carry what is written then. */
export async function pauseLink({ url, nodes }: Served, source: string, target: string): Promise<void> {
  const { admin } = nodes.nodes.find(({ name }) => name === target)!;
  await admin.query(`select tandem.pause_link('${source}', 'a test')`);
  await waitFor(async () => (await stateOf(url, `${source}:${target}`)) === "paused");
}
