import type { ModelHistory, Step } from "../support/model/history.ts";
import type { Entry, ModelNode } from "../support/model/node.ts";
import type { Image, Key } from "../support/model/rows.ts";
import type { Coverage } from "./coverage.ts";
import type { ModelSystem, RealEntry, RealState } from "./model-system.ts";

// Microseconds of the real clock per tick of the model's.
const tick = 1_000;

/** What a step left different, with what led to it. */
export class Differs extends Error {}

/**
 * Plays a history on the real system and on the model, step by step. The order of the real stamps is the model's, for
 * the nodes' clocks are set to the model's before each step; the stamps themselves are read from the real logs into the model.
 * A node that came back is compared table by table, its model all at once: both must stand alike when a link is through.
 */
export class Lockstep {
  readonly trace: string[] = [];
  readonly #history: ModelHistory;
  readonly #system: ModelSystem;
  /** Microseconds since 1970 at the model's time 0. */
  readonly #epoch: number;
  /** The real transactions behind those of each node's log in the model. */
  readonly #transactions = new Map<string, bigint[]>();
  readonly #seen = new Map<string, bigint>();

  /** The real transactions behind the log of the copy that was taken. */
  #copied: bigint[] = [];
  /** Nodes with a comparison in their logs, which is one transaction of the model's and several real ones: no batch is cut within it. */
  readonly #torn = new Set<string>();

  readonly #coverage: Coverage;

  constructor(history: ModelHistory, system: ModelSystem, epoch: number, coverage: Coverage) {
    this.#coverage = coverage;
    this.#history = history;
    this.#system = system;
    this.#epoch = epoch;
  }

  /** Plays all of the history; returns how long it took to come to rest, in rounds, or null. */
  async play(): Promise<number | null> {
    await this.#system.empty();
    for (const { name } of this.#history.nodes) {
      this.#seen.set(name, await this.#system.lastTransaction(name));
      this.#transactions.set(name, []);
    }
    for (const step of this.#history.steps()) await this.#perform(step);
    const rest = this.#history.rest();
    let next = rest.next();
    for (; !next.done; next = rest.next()) await this.#perform(next.value);
    return next.value;
  }

  /** The real system goes first; the model takes over its stamps, where it cut the batch, and what it pruned. */
  async #perform(step: Step): Promise<void> {
    if (step.kind === "prune") return await this.#prune(step);
    if (step.kind === "loss") return await this.#lose(step);
    if (step.kind === "copy") return await this.#copy(step);
    if (step.kind === "restore") return await this.#restore(step);
    if (step.kind === "rejoin") return await this.#rejoin(step);
    const clock = this.#epoch + step.clock * tick;
    const node = step.kind === "write" ? step.node : step.target;
    const { conflicts, preferred } = node;
    this.trace.push(describe(step));
    await this.#system.setClock(node.name, clock);
    if (step.kind === "write") {
      await this.#system.write(node.name, step.change);
      const entries = await this.#newEntries(node);
      this.#history.perform({ ...step, clock });
      this.#count(node, entries);
    } else {
      const { source } = step;
      const unknown = node.meets.has(source.name) ? await this.#unknown(source, node) : null;
      if (unknown) await this.#system.compare(source.name, node.name, step.limit);
      else await this.#system.round(source.name, node.name, this.#torn.has(source.name) ? undefined : step.limit);
      const entries = await this.#newEntries(node);
      const end = await this.#system.passed(source.name, node.name, this.#transactions.get(source.name)!);
      this.#history.perform({ ...step, clock, end });
      this.#count(node, entries);
      if (unknown) {
        this.#torn.add(node.name);
        await this.#expectKept(node, unknown);
      }
    }
    for (const { why } of node.parked) this.#coverage.count("met", `parked: ${why}`);
    this.#coverage.count("met", "conflict", node.conflicts - conflicts);
    this.#coverage.count("met", "preferred", node.preferred - preferred);
    this.#compare(node, await this.#system.state(node.name));
  }

  /** The real rule learns later than the model's what every peer has passed; what it lets go the model's must let go too. */
  async #prune({ node, keys, clock }: Step & { readonly kind: "prune" }): Promise<void> {
    if (!(await this.#system.prune(node.name))) return;
    const real = await this.#system.state(node.name);
    const pruned = [...node.newest].filter((entry) => !real.versions.includes(versionLine(...entry)));
    if (pruned.length === 0) return;
    this.trace.push(`${node.name}: pruned ${pruned.map(([key]) => key).join(", ")}`);
    const needed = pruned.filter(([key]) => !keys.includes(key));
    if (needed.length > 0)
      throw this.#differs(
        needed.map(([key, entry]) => `${node.name} has pruned what is needed: ${versionLine(key, entry)}`),
      );
    this.#history.perform({ kind: "prune", node, keys: pruned.map(([key]) => key), clock });
    this.#coverage.count("met", "pruned", pruned.length);
    this.#compare(node, real);
  }

  /** The neighbours of a node that is lost enter anew what they have from it. */
  async #lose(step: Step & { readonly kind: "loss" }): Promise<void> {
    this.trace.push(`${step.node.name} is lost`);
    await this.#system.lose(step.node.name);
    this.#history.perform(step);
    for (const node of this.#history.nodes) {
      const entries = await this.#newEntries(node);
      this.#count(node, entries);
      this.#coverage.count("met", "entered anew after a loss", entries.length);
      this.#compare(node, await this.#system.state(node.name));
    }
  }

  /** The copy holds the log as it is now. */
  async #copy(step: Step & { readonly kind: "copy" }): Promise<void> {
    const { name } = step.node;
    this.trace.push(`${name} is copied`);
    await this.#system.copy(name);
    this.#copied = [...this.#transactions.get(name)!];
    this.#history.perform(step);
  }

  /** The copy is another database, whatever it holds: its links are refused from the first on. */
  async #restore(step: Step & { readonly kind: "restore" }): Promise<void> {
    const { name } = step.node;
    this.trace.push(`${name} is restored from its copy`);
    await this.#system.restore(name);
    this.#transactions.set(name, this.#copied);
    this.#seen.set(name, await this.#system.lastTransaction(name));
    this.#history.perform(step);
    for (const link of this.#history.rules.links) {
      const [source, target] = link.split(" ") as [string, string];
      if (![source, target].includes(name)) continue;
      const code = await this.#system.refused(source, target);
      if (code !== "identity_mismatch") throw this.#differs([`${source} → ${target} ended with ${code}`]);
    }
    this.#compare(step.node, await this.#system.state(name));
    this.#coverage.count("met", "restored");
  }

  /** The peers enter anew what they have from the node; its comparison with each is a delivery. */
  async #rejoin(step: Step & { readonly kind: "rejoin" }): Promise<void> {
    const { name } = step.node;
    this.trace.push(`${name} comes back`);
    if (!(await this.#system.rejoin(name, this.#history.missing!))) throw this.#differs([`${name} was not renewed`]);
    this.#history.perform(step);
    for (const node of this.#history.nodes) {
      this.#count(node, await this.#newEntries(node));
      this.#compare(node, await this.#system.state(node.name));
    }
  }

  /** Rows of the target whose version is not in the source's log: whoever gives them up has not seen them. */
  async #unknown(source: ModelNode, target: ModelNode): Promise<Map<Key, Image>> {
    const seen = (await this.#system.entriesSince(source.name, 0n)).map(({ key, stamp, origin }) =>
      versionLine(key, { version: { stamp, origin } }),
    );
    return new Map(
      [...target.rows].filter(([key]) => {
        const entry = target.newest.get(key);
        return entry && !seen.includes(versionLine(key, entry));
      }),
    );
  }

  /** Of these rows those that a comparison has changed are in the conflicts (C5). */
  async #expectKept(node: ModelNode, unknown: ReadonlyMap<Key, Image>): Promise<void> {
    const gone = [...unknown].filter(([key, image]) => !node.rows.has(key) || node.rows.get(key) !== image);
    const kept = await this.#system.kept(node.name);
    const lost = gone.map(([key, image]) => `${key} = ${image}`).filter((line) => !kept.includes(line));
    if (lost.length > 0) throw this.#differs(lost.map((line) => `${node.name} has not kept ${line}`));
    this.#coverage.count("met", "kept by a comparison", gone.length);
  }

  /** Gives the model the real stamps of what was made here. */
  async #newEntries(node: ModelNode): Promise<RealEntry[]> {
    const entries = await this.#system.entriesSince(node.name, this.#seen.get(node.name)!);
    const own = entries.filter(({ madeHere, origin }) => madeHere && origin === node.name);
    node.stamps = new Map(own.map(({ key, stamp }) => [key, stamp]));
    return entries;
  }

  #count(node: ModelNode, entries: readonly RealEntry[]): void {
    const last = entries.at(-1)?.xid;
    const counted = this.#transactions.get(node.name)!;
    if (node.log.length > counted.length) counted.push(last ?? this.#seen.get(node.name)!);
    else if (last !== undefined)
      throw this.#differs(
        entries.map(
          ({ key, stamp, origin, madeHere }) =>
            `only ${node.name} wrote ${key} @${stamp}${origin}${madeHere ? " itself" : ""}`,
        ),
      );
    if (last !== undefined) this.#seen.set(node.name, last);
  }

  #compare(node: ModelNode, real: RealState): void {
    const model: RealState = {
      rows: [...node.rows].map(([key, image]) => `${key} = ${image}`).sort(),
      parked: node.parked.map(({ key, from }) => `${key} from ${from}`).sort(),
      versions: [...node.newest].map((entry) => versionLine(...entry)).sort(),
    };
    const lines = (["rows", "parked", "versions"] as const).flatMap((what) => [
      ...real[what]
        .filter((line) => !model[what].includes(line))
        .map((line) => `${what}: only ${node.name} has ${line}`),
      ...model[what].filter((line) => !real[what].includes(line)).map((line) => `${what}: only its model has ${line}`),
    ]);
    if (lines.length > 0) throw this.#differs(lines);
  }

  #differs(lines: readonly string[]): Differs {
    return new Differs([`after step ${this.trace.length}: ${this.trace.at(-1)}`, ...lines].join("\n"));
  }
}

function versionLine(key: Key, { version }: Pick<Entry, "version">): string {
  return `${key} @${version.stamp}${version.origin}`;
}

function describe(step: Step): string {
  if (step.kind === "delivery")
    return `${step.source.name} → ${step.target.name}${step.limit ? `, cut at ${step.limit}` : ""}`;
  if (step.kind !== "write") return `${step.node.name}: ${step.kind}`;
  const { change, node } = step;
  if (change.kind === "merge") return `${node.name}: ${change.key} is merged into ${change.into}`;
  return change.kind === "put" ? `${node.name}: ${change.key} = ${change.image}` : `${node.name}: ${change.key} goes`;
}
