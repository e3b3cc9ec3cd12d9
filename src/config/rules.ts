import type { ConfigError, ConfigFault } from "./config-error.ts";
import type { Draft } from "./draft.ts";
import type { Environment } from "./environment.ts";
import { isLoopback, parseListen } from "./listen.ts";
import type { Places } from "./shape.ts";
import { dotted, type KeyPath } from "./source-map.ts";
import { didYouMean } from "./suggest.ts";
import { type Pair, topologyFaults } from "./topology.ts";
import { databaseAddress, parseNodeUrl } from "./url.ts";

/** Every pair of nodes; what is linked when `links` is not given. */
export function allPairs(names: readonly string[]): Pair[] {
  return names.flatMap((a, index) => names.slice(index + 1).map((b): Pair => [a, b]));
}

/** What has been found wrong, each with its place. */
class Findings {
  readonly faults: ConfigFault[] = [];
  readonly sameDatabase: ConfigFault[] = [];
  readonly names: readonly string[];
  readonly #places: Places;

  constructor(names: readonly string[], places: Places) {
    this.names = names;
    this.#places = places;
  }

  at(path: KeyPath, message: string): ConfigFault {
    return { place: this.#places.placeOf(path), path: dotted(path), message };
  }

  add(path: KeyPath, message: string): void {
    this.faults.push(this.at(path, message));
  }

  /** A reference to a node that must exist. */
  node(path: KeyPath, name: string | null): void {
    if (name === null || this.names.includes(name)) return;
    this.add(path, `there is no node "${name}"${didYouMean(name, this.names)}`);
  }
}

function checkUrls(draft: Draft, env: Environment, findings: Findings): void {
  const seen = new Map<string, string>();
  for (const { name, url } of draft.nodes) {
    // A reference that could not be expanded is a fault already.
    if (url === null || url.includes("${")) continue;
    const path = ["nodes", name, "url"];
    try {
      const address = databaseAddress(parseNodeUrl(url, env));
      const other = seen.get(address);
      if (other === undefined) seen.set(address, name);
      else findings.sameDatabase.push(findings.at(path, `is the same database as node ${other} (${address})`));
    } catch (error) {
      findings.add(path, (error as ConfigError).message);
    }
  }
}

function checkLinks(links: readonly (Pair | null)[], findings: Findings): void {
  const before = findings.faults.length;
  const seen = new Set<string>();
  for (const [index, pair] of links.entries()) {
    if (!pair) continue;
    for (const [side, name] of pair.entries()) findings.node(["links", index, side], name);
    const key = pair.toSorted().join(" ");
    if (pair[0] === pair[1]) findings.add(["links", index], "links a node with itself");
    else if (seen.has(key)) findings.add(["links", index], "this pair is named twice; one pair means both directions");
    seen.add(key);
  }
  const pairs = links.filter((pair) => pair !== null);
  // The shape of the net means nothing while its parts are wrong.
  if (findings.faults.length > before || pairs.length < links.length) return;
  for (const { kind, nodes } of topologyFaults(findings.names, pairs)) {
    const [a, b] = nodes;
    const missing = `${a} and ${b} are on a common cycle and must be linked directly: add [${a}, ${b}]`;
    findings.add(["links"], kind === "missing_link" ? missing : `no path of links leads from ${a} to ${b}`);
  }
}

function checkTables(draft: Draft, findings: Findings): void {
  const mesh = allPairs(findings.names).length;
  for (const [index, conflict] of draft.conflicts.entries()) {
    if (!conflict?.startsWith("prefer: ")) continue;
    const path = ["tables", index, "conflict"];
    findings.node(path, conflict.slice("prefer: ".length));
    if (draft.links && draft.links.length < mesh)
      findings.add(
        path,
        "prefer needs a direct link between all nodes: only from a node itself can the preferred one learn what was not known there",
      );
  }
}

function checkJobs(draft: Draft, findings: Findings): void {
  const seen = new Set<string>();
  for (const [index, { name, node }] of draft.jobs.entries()) {
    findings.node(["backup", "jobs", index, "node"], node);
    if (name === null) continue;
    if (seen.has(name)) findings.add(["backup", "jobs", index, "name"], `there is another job "${name}"`);
    seen.add(name);
  }
}

function checkHttp({ http }: Draft, findings: Findings): void {
  const address = http.listen === null ? null : parseListen(http.listen);
  if (address === null || isLoopback(address.host) || http.token) return;
  findings.add(["http", "listen"], "others can reach this address: it needs http.token");
}

/** Checks what concerns several values at once: references, URLs, the shape of the whole net. */
export function checkRules(draft: Draft, env: Environment, places: Places): Pick<Findings, "faults" | "sameDatabase"> {
  const findings = new Findings(
    draft.nodes.map(({ name }) => name),
    places,
  );
  checkUrls(draft, env, findings);
  if (draft.links) checkLinks(draft.links, findings);
  checkTables(draft, findings);
  findings.node(["sync", "seed"], draft.seed);
  checkHttp(draft, findings);
  checkJobs(draft, findings);
  return findings;
}
