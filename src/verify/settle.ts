import { Backoff } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";
import type { Look, VerifyLink } from "../postgres/verify-node.ts";
import type { DifferingKey, Reason } from "./report.ts";
import type { Side } from "./scan.ts";
import { compareVersions } from "./versions.ts";

/*
 * Rows that differ only because a change is under way are no differences. How that is told, for one key:
 *
 * Nodes are looked at in rounds. A round reads, first, how far every link has come (its position, stored in its target),
 * then, after that, each node's row, its newest entry, and which targets have not applied all of the key's entries by
 * those positions; row, entries and parked changes of a node in one snapshot. Take an instant between two rounds, after
 * the second one's positions were read and before its first look. If nothing of the key changed from one round to the
 * next on any node, its rows and entries at that instant are known on all nodes at once, and the positions hold of it
 * too, since they only grow. If, moreover, no entry of the key waits for any target at that instant, every change ever
 * made to the key has reached every node: they have seen the same changes, and by C3 should hold the same row. They do
 * not: it is diverged, proved, and no waiting would mend it. A change behind the triggers' back leaves no entry, and so
 * is named after two rounds, whatever else is written meanwhile.
 *
 * The other way round, nodes agree when they hold equal rows, or when each held the same row at the same version at
 * some moment of this verify. A row that is written all the time never holds still, and may never be seen so; but what is
 * carried is always the whole row with its version. So when the row is newer on every node than it was on any at the
 * first look, what differed then is written over everywhere: it was written after verify began, by changes that travel.
 *
 * What is neither is waited for as long as links move; then the change is pending, and said to be.
 */

/** How long changes under way are waited for. */
export interface SettleOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Without any link moving. */
  readonly patienceMs: number;
  /** In all, for one slice of keys. */
  readonly limitMs: number;
  /** Configured nodes that cannot be asked. */
  readonly unreachable: readonly string[];
  /** Changes could be on their way between the nodes through one that cannot be asked. */
  readonly blind: boolean;
}

const keysPerLook = 1_000;
// A lock or a parent is waited for there, mostly for a moment.
const passing = ["busy", "waits"];

interface Candidate {
  readonly key: string;
  /** Per node, the row at each version it was seen in. */
  readonly seen: readonly Set<string>[];
  /** The newest version that any node had at the first look. */
  newest: string | null;
  last: readonly Look[] | null;
  state: Undecided;
}

interface Undecided {
  readonly reason: Reason;
  readonly detail: string;
  /** Nothing would change by looking again. */
  readonly final: boolean;
}

const moving: Undecided = { reason: "pending", detail: "it is being written", final: false };

/** A key that differs, and how each node was seen last. */
export interface Settled {
  readonly key: DifferingKey;
  readonly looks: readonly Look[];
}

/** Tells keys that differ from keys whose changes are under way. */
export class Settler {
  readonly #options: SettleOptions;
  /** Where the links of a table stood, and since when. */
  readonly #stood = new Map<string, { readonly links: string; readonly since: number }>();

  constructor(options: SettleOptions) {
    this.#options = options;
  }

  /**
   * Looks at keys (JSON) until each is equal or known not to be; returns those that are not. `aliases` collects other
   * texts of equal keys (1 and 1.00), so that one row is one difference.
   */
  async settle(sides: readonly Side[], keys: readonly string[], aliases: Set<string>): Promise<Settled[]> {
    const { clock, signal, limitMs } = this.#options;
    const backoff = new Backoff({ min: 20, max: 500 });
    const deadline = clock.now() + limitMs;
    const differing: Settled[] = [];
    let open = keys.filter((key) => !aliases.has(key)).map((key) => newCandidate(key, sides.length));
    if (open.length > 0) await Promise.all(sides.map(({ node, table }) => node.writeOut(table)));
    for (let round = 1; open.length > 0; round++) {
      const links = await Promise.all(sides.map(({ node, table }) => node.links(table)));
      const impatient = this.#standsStill(sides, links) || clock.now() >= deadline;
      const left: Candidate[] = [];
      for (let at = 0; at < open.length; at += keysPerLook) {
        const some = open.slice(at, at + keysPerLook);
        const looks = await lookAt(sides, some, links);
        for (const [i, candidate] of some.entries()) {
          const seen = looks.map((ofNode) => ofNode[i]).filter((look) => look !== undefined);
          if (aliases.has(candidate.key) || agree(candidate, seen)) continue;
          for (const { key } of seen) if (key !== null && key !== candidate.key) aliases.add(key);
          candidate.state = this.#judge(candidate.last, seen, sides, links);
          candidate.last = seen;
          if (candidate.state.final || (impatient && round > 1))
            differing.push({ key: describe(candidate, sides), looks: seen });
          else left.push(candidate);
        }
      }
      open = left;
      if (open.length > 0) await clock.sleep(backoff.next(), signal);
    }
    return differing;
  }

  /** Whether no link of the table has moved for as long as that is waited for. */
  #standsStill(sides: readonly Side[], links: readonly (readonly VerifyLink[])[]): boolean {
    const now = this.#options.clock.now();
    const table = JSON.stringify([sides[0]?.table.schema, sides[0]?.table.name]);
    const text = JSON.stringify(links);
    const stood = this.#stood.get(table);
    if (stood?.links !== text) this.#stood.set(table, { links: text, since: now });
    return stood?.links === text && now - stood.since >= this.#options.patienceMs;
  }

  #judge(
    before: readonly Look[] | null,
    looks: readonly Look[],
    sides: readonly Side[],
    links: readonly (readonly VerifyLink[])[],
  ): Undecided {
    if (before === null || looks.some((look, i) => !sameLook(look, before[i]))) return moving;
    return (
      parkedState(looks, sides) ??
      linkState(sides, links) ??
      this.#waiting(looks, sides) ?? { reason: "diverged", detail: "", final: true }
    );
  }

  #waiting(looks: readonly Look[], sides: readonly Side[]): Undecided | null {
    const waits = looks.flatMap(({ pending }, i) =>
      pending.map((target) => `${target} has not applied the change of ${sides[i]?.node.name} yet`),
    );
    if (waits.length > 0) return { reason: "pending", detail: waits.join("; "), final: false };
    const away = looks.find(
      ({ receivedFrom }) => receivedFrom !== null && this.#options.unreachable.includes(receivedFrom),
    );
    if (away)
      return { reason: "pending", detail: `it came from ${away.receivedFrom}, which cannot be reached`, final: true };
    if (!this.#options.blind) return null;
    return {
      reason: "pending",
      detail: `it may be at ${this.#options.unreachable.join(", ")}, which cannot be reached`,
      final: true,
    };
  }
}

function newCandidate(key: string, nodes: number): Candidate {
  return { key, seen: Array.from({ length: nodes }, () => new Set<string>()), newest: null, last: null, state: moving };
}

async function lookAt(
  sides: readonly Side[],
  candidates: readonly Candidate[],
  links: readonly (readonly VerifyLink[])[],
): Promise<readonly (readonly Look[])[]> {
  const keys = candidates.map(({ key }) => key);
  return await Promise.all(
    sides.map(({ node, table, spec }) => {
      const targets = sides.flatMap((target, i) => {
        const link = links[i]?.find(({ source }) => source === node.name);
        return link ? [{ target: target.node.name, position: link.position }] : [];
      });
      return node.look(table, spec, keys, targets);
    }),
  );
}

/**
 * Whether all nodes hold, or held, the same row at the same version (those that do are joined step by step), or have all
 * been given a newer one since.
 */
function agree(candidate: Candidate, looks: readonly Look[]): boolean {
  if (looks.every(({ hash }) => hash === looks[0]?.hash)) return true;
  const versions = looks.map(({ version }) => version).sort(compareVersions);
  candidate.newest ??= versions.at(-1) ?? "";
  if (compareVersions(versions[0] ?? "", candidate.newest) > 0) return true;
  for (const [i, { version, hash }] of looks.entries()) candidate.seen[i]?.add(`${version} ${hash}`);
  const [first, ...rest] = candidate.seen;
  const joined = new Set(first);
  let apart = rest;
  for (let joinedOne = true; joinedOne; ) {
    const still = apart.filter((rows) => ![...rows].some((row) => joined.has(row)));
    joinedOne = still.length < apart.length;
    for (const rows of apart) if (!still.includes(rows)) for (const row of rows) joined.add(row);
    apart = still;
  }
  return apart.length === 0;
}

function sameLook(one: Look, other: Look | undefined): boolean {
  return one.hash === other?.hash && one.version === other.version && one.xid === other.xid;
}

function parkedState(looks: readonly Look[], sides: readonly Side[]): Undecided | null {
  const parked = looks.flatMap(({ parked: list }, i) => list.map((one) => ({ ...one, node: sides[i]?.node.name })));
  if (parked.length === 0) return null;
  const detail = parked
    .map(({ source, node, reason }) => `${node} could not apply the change from ${source}: ${reason}`)
    .join("; ");
  return { reason: "parked", detail, final: parked.some(({ kind }) => !passing.includes(kind)) };
}

function linkState(sides: readonly Side[], links: readonly (readonly VerifyLink[])[]): Undecided | null {
  const names = sides.map(({ node }) => node.name);
  const all = links
    .flatMap((list, i) => list.map((link) => ({ ...link, target: names[i] })))
    .filter(({ source }) => names.includes(source));
  const held = all.filter(({ state }) => state === "held");
  if (held.length > 0) {
    const detail = held.map(({ source, target, reason }) => `${source} → ${target}: ${reason}`).join("; ");
    return { reason: "held", detail, final: true };
  }
  const copying = all.filter(({ state, position }) => state === "new" || state === "copy" || position === null);
  if (copying.length === 0) return null;
  const detail = copying.map(
    ({ source, target, reason }) =>
      `the first copy from ${source} to ${target} is not done${reason === null ? "" : ` (${reason})`}`,
  );
  return { reason: "pending", detail: detail.join("; "), final: true };
}

function describe({ key, last, state }: Candidate, sides: readonly Side[]): DifferingKey {
  const groups = new Map<string, string[]>();
  const lacking: string[] = [];
  for (const [i, look] of (last ?? []).entries()) {
    const name = sides[i]?.node.name ?? "";
    if (look.hash === null) lacking.push(name);
    else groups.set(look.hash, [...(groups.get(look.hash) ?? []), name]);
  }
  return {
    key: JSON.parse(key) as string[],
    reason: state.reason,
    detail: state.detail === "" ? null : state.detail,
    lacking,
    groups: [...groups.values()],
  };
}
