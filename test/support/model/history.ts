import { type Random, seeded } from "../seed.ts";
import { deliver } from "./deliver.ts";
import { ModelNode } from "./node.ts";
import { type PruneRule, prunable } from "./prune.ts";
import type { Key } from "./rows.ts";
import { linkedPairs, type Rules, type Topology } from "./rules.ts";
import { randomMerge, randomWrite, type Write, write } from "./writes.ts";

/** What a random history is like. */
export interface HistoryOptions {
  readonly nodes: number;
  readonly topology?: Topology;
  /** Small batches. */
  readonly cut?: boolean;
  /** Now and then a row is locked at the target. */
  readonly busy?: boolean;
  /** Only the first node writes: nothing it wrote may be changed or called a conflict. */
  readonly single?: boolean;
  readonly filter?: boolean;
  readonly closure?: boolean;
  /** Entries are pruned as soon as the rule allows. */
  readonly prune?: PruneRule;
  /** The first node is preferred. */
  readonly prefer?: boolean;
  /** On the way the last node is lost for good, while the others stand at different places; forwarded: they tell each other what they have of it. */
  readonly loses?: "forwarded" | "left";
  /**
   * On the way a node becomes an older copy of itself, which the application writes to before that is noticed; then it comes back. What only it
   * has and the others may have deleted is kept or deleted.
   */
  readonly restores?: "keep" | "delete";
  /** Which node that is; without: the last. */
  readonly restored?: number;
  /** All clocks are one, and it hardly moves: many changes of different nodes have the same stamp. */
  readonly ties?: boolean;
  /** Nearly a third of the writes merge one parent into another, often in opposite directions at once. */
  readonly merges?: boolean;
  readonly names?: readonly string[];
  readonly steps?: readonly [number, number];
}

// Far more rounds than any history needs, and the one from which on batches are no longer cut.
const mostRounds = 150;
const cutRounds = 30;

/** What happens next: to the model alone, or to a real system beside it. */
export type Step = { readonly clock: number } & (
  | { readonly kind: "prune"; readonly node: ModelNode; readonly keys: readonly Key[] }
  | { readonly kind: "loss"; readonly node: ModelNode; readonly forward: boolean }
  | { readonly kind: "copy"; readonly node: ModelNode }
  | { readonly kind: "restore"; readonly node: ModelNode }
  | { readonly kind: "rejoin"; readonly node: ModelNode }
  | { readonly kind: "write"; readonly node: ModelNode; readonly change: Write }
  | {
      readonly kind: "delivery";
      readonly source: ModelNode;
      readonly target: ModelNode;
      readonly limit: number | undefined;
      readonly busy: ((key: Key) => boolean) | undefined;
      /** How many of the source's transactions are covered, where that is known otherwise. */
      readonly end?: number;
    }
);

/**
 * A history of random writes and deliveries over nodes whose clocks differ, and then deliveries until nothing moves. Each
 * step depends on what the ones before it led to: it is performed before the next is asked for.
 */
export class ModelHistory {
  #nodes: readonly ModelNode[];
  #rules: Rules;
  readonly #options: HistoryOptions;
  readonly #random: Random;
  #pairs: readonly [number, number][];
  readonly #offsets: readonly number[];
  #time = 100;
  /** The older copy of the last node, and whether that has become what it was and nobody knows yet. */
  #copied: { readonly older: ModelNode; readonly away: boolean } | null = null;

  constructor(seed: number, options: HistoryOptions) {
    this.#options = options;
    this.#random = seeded(seed);
    const names = options.names ?? ["a", "b", "c", "d"];
    this.#nodes = Array.from({ length: options.nodes }, (_, i) => new ModelNode(names[i]!));
    this.#offsets = this.#nodes.map(() => (options.ties ? 0 : this.#random.int(-20, 19)));
    this.#pairs = linkedPairs(options.topology ?? "mesh", options.nodes);
    const { filter = true, closure = true, prefer = false } = options;
    this.#rules = { links: this.#links(), filter, closure, prefer: prefer ? this.#nodes[0]!.name : null };
  }

  /** Those that are not lost. */
  get nodes(): readonly ModelNode[] {
    return this.#nodes;
  }

  /** What becomes of what only a node that came back has and the others may have deleted. */
  get missing(): "keep" | "delete" | undefined {
    return this.#options.restores;
  }

  get rules(): Rules {
    return this.#rules;
  }

  get #restored(): ModelNode {
    return this.nodes.at(this.#options.restored ?? -1)!;
  }

  #links(): Set<string> {
    return new Set(this.#pairs.map(([i, j]) => `${this.#nodes[i]!.name} ${this.#nodes[j]!.name}`));
  }

  /** The random part: six writes to four deliveries. */
  *steps(): Generator<Step> {
    const random = this.#random;
    const { loses, restores, ties } = this.#options;
    const [fewest, most] = this.#options.steps ?? [60, 159];
    const steps = random.int(fewest, most);
    const lossAt = loses ? random.int(1, Math.ceil(steps / 2)) : 0;
    const copyAt = restores ? random.int(Math.ceil(steps / 3), steps) : 0;
    const restoreAt = restores ? random.int(1, copyAt) : 0;
    const rejoinAt = restores ? random.int(Math.max(0, restoreAt - 15), restoreAt) : 0;
    for (let left = steps; left > 0; left--) {
      this.#time += ties ? Number(random.chance(0.2)) : random.int(0, 4);
      if (left === lossAt) {
        yield { kind: "loss", node: this.nodes.at(-1)!, forward: loses === "forwarded", clock: this.#time };
      }
      if (restores) {
        const node = this.#restored;
        if (left === copyAt) yield { kind: "copy", node, clock: this.#time };
        if (left === restoreAt) yield { kind: "restore", node, clock: this.#time };
        if (left === rejoinAt) yield { kind: "rejoin", node, clock: this.#time };
      }
      if (random.chance(0.6)) {
        const i = this.#options.single ? 0 : random.int(0, this.nodes.length - 1);
        const draw = this.#options.merges && random.chance(0.3) ? randomMerge : randomWrite;
        const change = draw(random, this.nodes[i]!);
        if (change) yield { kind: "write", node: this.nodes[i]!, change, clock: this.#clock(i) };
      } else if (this.#options.prune && random.chance(0.5)) {
        yield this.#prune(random.pick(this.nodes), this.#options.prune);
      } else {
        const busy = this.#options.busy ? () => random.chance(0.15) : undefined;
        const pair = random.pick(this.#pairs);
        if (this.#flows(pair)) yield this.#delivery(pair, this.#options.cut ?? false, busy);
      }
    }
    if (this.#copied?.away) yield { kind: "rejoin", node: this.#restored, clock: this.#time };
  }

  /** No link of a node flows while that is not recognized; what comes back is told of everything before it tells. */
  #flows(pair: readonly [number, number]): boolean {
    const [source, target] = pair.map((i) => this.nodes[i]!);
    if (this.#copied?.away && [source, target].includes(this.#restored)) return false;
    return ![...source!.meets.values()].includes("returned") || target!.meets.get(source!.name) !== "survivor";
  }

  /** Deliveries over all links until nothing moves; returns the rounds, or null when that does not come about. */
  *rest(): Generator<Step, number | null> {
    for (let round = 1; round <= mostRounds; round++) {
      const before = this.#entries();
      for (const pair of this.#pairs) {
        this.#time++;
        if (!this.#flows(pair)) continue;
        yield this.#delivery(pair, (this.#options.cut ?? false) && round <= cutRounds);
      }
      if (this.#options.prune) for (const node of this.nodes) yield this.#prune(node, this.#options.prune);
      if (this.#entries() === before && this.#allDelivered()) return round;
    }
    return null;
  }

  /** Performs a step on the model. */
  perform(step: Step): void {
    if (step.kind === "loss") this.#lose(step.node, step.forward);
    else if (step.kind === "prune") for (const key of step.keys) step.node.forget(key);
    else if (step.kind === "write") write(step.node, step.change, step.clock);
    else if (step.kind === "copy") this.#copied = { older: step.node.copy(), away: false };
    else if (step.kind === "restore") this.#restore(step.node);
    else if (step.kind === "rejoin") this.#rejoin(step.node);
    else deliver(step.source, step.target, { ...step, rules: this.rules, missing: this.missing });
  }

  #restore(node: ModelNode): void {
    node.returnTo(this.#copied!.older);
    this.#copied = { older: this.#copied!.older, away: true };
  }

  #rejoin(node: ModelNode): void {
    this.#copied = null;
    for (const peer of this.#targets(node)) {
      peer.forgetNode(node.name);
      peer.meetAnew(node.name, "survivor");
      node.meetAnew(peer.name, "returned");
    }
  }

  #lose(lost: ModelNode, forward: boolean): void {
    const neighbours = this.#targets(lost);
    this.#nodes = this.#nodes.filter((node) => node !== lost);
    this.#pairs = this.#pairs.filter((pair) => Math.max(...pair) < this.#nodes.length);
    this.#rules = { ...this.#rules, links: this.#links() };
    for (const node of neighbours) node.forgetNode(lost.name, forward);
  }

  #prune(node: ModelNode, rule: PruneRule): Step {
    return { kind: "prune", node, keys: prunable(node, this.#targets(node), this.rules, rule), clock: this.#time };
  }

  /** The nodes that hear of this one's changes. */
  #targets({ name }: ModelNode): ModelNode[] {
    return this.nodes.filter((other) => this.rules.links.has(`${name} ${other.name}`));
  }

  #delivery([i, j]: readonly [number, number], cut: boolean, busy?: (key: Key) => boolean): Step {
    const limit = cut ? this.#random.int(1, 3) : undefined;
    return { kind: "delivery", source: this.nodes[i]!, target: this.nodes[j]!, limit, busy, clock: this.#clock(j) };
  }

  #clock(i: number): number {
    return this.#time + this.#offsets[i]!;
  }

  #entries(): number {
    return this.nodes.reduce((sum, { log }) => sum + log.length, 0);
  }

  #allDelivered(): boolean {
    return this.#pairs.every(([i, j]) => {
      const [source, target] = [this.nodes[i]!, this.nodes[j]!];
      return (target.positions.get(source.name) ?? 0) === source.log.length;
    });
  }
}
