import type { Look, RepairImage, RepairRow } from "../postgres/verify-node.ts";
import { type Choice, chooseWinner } from "./choose.ts";
import type { Mended } from "./report.ts";
import type { Side } from "./scan.ts";
import type { Settled } from "./settle.ts";

/** How diverged keys are mended. */
export interface MendOptions {
  /** The node that decides where no version does. */
  readonly prefer: string | null;
  /** Nothing is written. */
  readonly dryRun: boolean;
}

/** One key, with who wins it. */
interface Case {
  readonly settled: Settled;
  readonly choice: Choice;
}

const keysPerCall = 1_000;

/**
 * Mends diverged keys of one table: the node that is right writes its row, or that there is none, anew, and this travels to
 * the others. What it overwrites there is kept in `tandem.conflicts` beforehand. Rows that change meanwhile are left: the
 * next verify sees them.
 */
export async function mendKeys(
  sides: readonly Side[],
  found: readonly Settled[],
  options: MendOptions,
): Promise<Mended[]> {
  const cases = found.map((settled) => ({
    settled,
    choice: chooseWinner(settled.looks, preferredSide(sides, options)),
  }));
  const written = new Set<Case>();
  if (!options.dryRun) {
    for (const [i] of sides.entries()) {
      const own = cases.filter(({ choice }) => choice.winner === i);
      for (let at = 0; at < own.length; at += keysPerCall) {
        for (const one of await writeAnew(sides, i, own.slice(at, at + keysPerCall))) written.add(one);
      }
    }
  }
  return cases.map((one) => describeCase(one, sides, written.has(one)));
}

/** The node of the command, else that of the table's own rule. */
function preferredSide(sides: readonly Side[], { prefer }: MendOptions): number | null {
  const name = prefer ?? /^prefer: (.+)$/.exec(sides[0]?.table.policy ?? "")?.[1];
  const at = sides.findIndex(({ node }) => node.name === name);
  return at < 0 ? null : at;
}

/** First the images are kept where they will be overwritten, then the winner's rows are entered anew; returns what was. */
async function writeAnew<T extends Case>(sides: readonly Side[], winner: number, cases: readonly T[]): Promise<T[]> {
  const side = sides[winner];
  if (!side) return [];
  const now = await Promise.all(sides.map(({ node }) => node.repairStamp()));
  const rows = cases.map(({ settled }) => rowOf(settled, winner, stampAfter(settled.looks, now)));
  const images = await side.node.repairImages(side.table, side.spec, rows);
  const kept: { side: Side; conflicts: Map<number, string | null> }[] = [];
  const ready = new Set(cases.keys());
  for (const [i, loser] of sides.entries()) {
    if (i === winner) continue;
    const overwritten = [...cases.keys()].filter((n) => {
      const { hash } = cases[n]!.settled.looks[i]!;
      return hash !== null && hash !== rows[n]!.hash;
    });
    if (overwritten.length === 0) continue;
    const image = (n: number): RepairImage => images.get(n) ?? { columns: null, texts: null };
    const mine = overwritten.map((n) => ({ ...rowOf(cases[n]!.settled, i, rows[n]!.stamp), ...image(n) }));
    const found = await loser.node.repairKeep(loser.table, loser.spec, mine, side.node.name);
    kept.push({ side: loser, conflicts: new Map([...found].map(([at, id]) => [overwritten[at]!, id])) });
    for (const [at, n] of overwritten.entries()) if (!found.has(at)) ready.delete(n);
  }
  const written = [...ready];
  const entered = await side.node.repairAnew(
    side.table,
    side.spec,
    written.map((n) => rows[n]!),
  );
  const done = new Set(written.filter((_, at) => entered.has(at)));
  for (const { side: loser, conflicts } of kept) {
    const vain = [...conflicts].flatMap(([n, id]) => (id === null || done.has(n) ? [] : [id]));
    if (vain.length > 0) await loser.node.repairForget(vain);
  }
  return cases.filter((_, n) => done.has(n));
}

function rowOf({ key, looks }: Settled, side: number, stamp: string): RepairRow {
  const { key: own = null, hash = null, version = "" } = looks[side] ?? {};
  return { key: own === null ? key.key : (JSON.parse(own) as string[]), hash, version, stamp };
}

/** An even stamp, newer than every version of the key and than all clocks. */
function stampAfter(looks: readonly Look[], now: readonly bigint[]): string {
  const versions = looks.map(({ version }) => BigInt(version.split(" ")[0] || 0));
  const newest = [...versions, ...now].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).at(-1) ?? 0n;
  return String((newest | 1n) + 1n);
}

function describeCase({ settled: { key, looks }, choice }: Case, sides: readonly Side[], written: boolean): Mended {
  const { winner, why } = choice;
  if (winner === null) return { key: key.key, winner: null, why, written, changes: [] };
  const right = looks[winner]?.hash ?? null;
  const changes = sides.flatMap(({ node }, i) => {
    const hash = looks[i]?.hash ?? null;
    if (hash === right) return [];
    return [{ node: node.name, change: right === null ? "delete" : hash === null ? "insert" : "update" } as const];
  });
  return { key: key.key, winner: sides[winner]?.node.name ?? null, why, written, changes };
}
