import { type Random, seeded } from "../seed.ts";
import { deliver } from "./deliver.ts";
import { ModelNode } from "./node.ts";
import { linkedPairs, type Rules, type Topology } from "./rules.ts";
import { randomWrite, write } from "./writes.ts";

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
  readonly steps?: readonly [number, number];
}

// Far more rounds than any history needs, and the one from which on batches are no longer cut.
const mostRounds = 150;
const cutRounds = 30;

/** A history of random writes and deliveries over nodes whose clocks differ, and then deliveries until nothing moves. */
export class ModelHistory {
  readonly nodes: readonly ModelNode[];
  readonly rules: Rules;
  readonly #options: HistoryOptions;
  readonly #random: Random;
  readonly #pairs: readonly [number, number][];
  readonly #offsets: readonly number[];
  #time = 100;

  constructor(seed: number, options: HistoryOptions) {
    this.#options = options;
    this.#random = seeded(seed);
    this.nodes = Array.from({ length: options.nodes }, (_, i) => new ModelNode("abcd"[i]!));
    this.#offsets = this.nodes.map(() => this.#random.int(-20, 19));
    this.#pairs = linkedPairs(options.topology ?? "mesh", options.nodes);
    const links = new Set(this.#pairs.map(([i, j]) => `${this.nodes[i]!.name} ${this.nodes[j]!.name}`));
    this.rules = { links, filter: options.filter ?? true, closure: options.closure ?? true };
  }

  /** The random part: six writes to four deliveries. */
  run(): void {
    const random = this.#random;
    const [fewest, most] = this.#options.steps ?? [60, 159];
    for (let left = random.int(fewest, most); left > 0; left--) {
      this.#time += random.int(0, 4);
      if (random.chance(0.6)) this.#write(this.#options.single ? 0 : random.int(0, this.nodes.length - 1));
      else this.#deliver(random.pick(this.#pairs), this.#options.cut ?? false, true);
    }
  }

  /** Deliveries over all links until nothing moves; returns the rounds, or null when that does not come about. */
  rest(): number | null {
    for (let round = 1; round <= mostRounds; round++) {
      const before = this.#entries();
      for (const pair of this.#pairs) {
        this.#time++;
        this.#deliver(pair, (this.#options.cut ?? false) && round <= cutRounds, false);
      }
      if (this.#entries() === before && this.#allDelivered()) return round;
    }
    return null;
  }

  #write(i: number): void {
    const node = this.nodes[i]!;
    const change = randomWrite(this.#random, node);
    if (change) write(node, change, this.#clock(i));
  }

  #deliver([i, j]: readonly [number, number], cut: boolean, mayWait: boolean): void {
    const limit = cut ? this.#random.int(1, 3) : undefined;
    const busy = this.#options.busy && mayWait ? () => this.#random.chance(0.15) : undefined;
    deliver(this.nodes[i]!, this.nodes[j]!, { rules: this.rules, clock: this.#clock(j), limit, busy });
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
