import type { EmbeddedServer } from "../../src/embedded/server.ts";
import { startProxy, type Proxy as TcpProxy } from "../support/proxy.ts";
import type { Coverage } from "./coverage.ts";
import type { HistoryLink } from "./links.ts";
import type { HistoryNode, HistoryNodes } from "./nodes.ts";

/** What goes wrong between two steps of a history, or is made to go wrong in the next ones. */
export type Fault =
  /** A session of an applier is lost at one of its statements. */
  | {
      readonly kind: "cut";
      readonly node: number;
      readonly step: string;
      readonly when: "before" | "after";
      readonly all: boolean;
    }
  /** An administrator ends all sessions of appliers in a node. */
  | { readonly kind: "terminate"; readonly node: number }
  /** An applier dies. */
  | { readonly kind: "kill"; readonly link: number }
  | { readonly kind: "restart"; readonly node: number; readonly mode: "fast" | "immediate" | "crash" }
  | { readonly kind: "prune"; readonly node: number }
  /** From now on entries go as soon as the rule lets them. */
  | { readonly kind: "prune eagerly" }
  /** A node stamps as if its clock stood so far in the future. */
  | { readonly kind: "ahead"; readonly node: number; readonly ms: number };

/** Injects faults into the nodes of one history; appliers reach these by way of its proxies. */
export class Faults implements AsyncDisposable {
  readonly #servers: readonly EmbeddedServer[];
  readonly #proxies = new Map<number, TcpProxy>();
  readonly #coverage: Coverage;
  #calm = false;
  /** A server was restarted: sessions of other histories are lost too. */
  restarted = false;

  private constructor(servers: readonly EmbeddedServer[], coverage: Coverage) {
    this.#servers = servers;
    this.#coverage = coverage;
  }

  /** `servers`: those of the test's own, which may be restarted; `ports`: of all servers that nodes lie on. */
  static async open(ports: Iterable<number>, servers: readonly EmbeddedServer[], coverage: Coverage): Promise<Faults> {
    const faults = new Faults(servers, coverage);
    for (const port of new Set(ports)) faults.#proxies.set(port, await startProxy(port));
    return faults;
  }

  /** How appliers reach a node. */
  reach = ({ url, server }: HistoryNode): string =>
    this.#calm ? url : (this.#proxies.get(server.port)?.url(url) ?? url);

  /** Does what the fault says; returns the nodes whose sessions were lost. */
  async inject(fault: Fault, { nodes, links }: HistoryNodes): Promise<readonly HistoryNode[]> {
    this.#coverage.count("fault", fault.kind);
    switch (fault.kind) {
      case "cut": {
        const proxy = this.#proxies.get(nodes[fault.node]!.server.port)!;
        void proxy
          .cutAt(fault.step, { when: fault.when, all: fault.all })
          .then(() => this.#coverage.count("cut", `${fault.when} ${fault.step}`));
        return [];
      }
      case "terminate":
        await nodes[fault.node]!.looking.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'tandem/history%' and datname = current_database()",
        );
        return [];
      case "kill":
        await links[fault.link]!.kill();
        return [];
      case "restart":
        return await this.#restart(nodes, fault);
      case "prune":
        await nodes[fault.node]!.looking.query("select tandem.prune()");
        return [];
      case "prune eagerly":
        for (const { looking } of nodes) await looking.query("update tandem.local_node set retention = '0'");
        return [];
      case "ahead":
        await nodes[fault.node]!.looking.query(
          `select setval(c.oid, tandem.to_us(clock_timestamp() + $1 * interval '1 millisecond')) from pg_class c
           where c.relkind = 'S' and c.relname like 'floor %' and c.relnamespace = 'tandem_log'::regnamespace`,
          [fault.ms],
        );
        return [];
    }
  }

  /** Nothing goes wrong any more: appliers begin anew and reach the nodes directly. */
  async calm(links: readonly HistoryLink[]): Promise<void> {
    this.#calm = true;
    for (const link of links) await link.kill();
  }

  async #restart(
    nodes: readonly HistoryNode[],
    { node, mode }: Extract<Fault, { kind: "restart" }>,
  ): Promise<readonly HistoryNode[]> {
    const { port } = nodes[node]!.server;
    const server = this.#servers.find((one) => one.port === port);
    if (!server) throw new Error("only servers of the test's own may be restarted");
    this.#coverage.count("restart", mode);
    this.restarted = true;
    if (mode === "crash") await server.kill();
    await server.restart(mode === "fast" ? { mode } : { mode: "immediate" });
    const lost = nodes.filter((one) => one.server.port === port);
    for (const one of lost) await one.reopen();
    return lost;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies.values()) await proxy.close();
  }
}
