import type { Look } from "../postgres/verify-node.ts";
import { compareVersions } from "./versions.ts";

/** Which node's row all others are to have, by its place; null: nobody may decide that, and why. */
export type Choice =
  | { readonly winner: number; readonly why: "newest" | "preferred" }
  | { readonly winner: null; readonly why: string };

/**
 * Who is right about a key that is diverged, by what the logs know: the newest version decides, and of the nodes that have it
 * those whose row is as its entry says (there, or gone). Where these differ among themselves, or nobody knows a version,
 * only the preferred node decides.
 */
export function chooseWinner(looks: readonly Look[], preferred: number | null): Choice {
  const versions = looks.map(({ version }) => version).sort(compareVersions);
  const newest = versions.at(-1) ?? "";
  const asEntered = looks.flatMap((look, i) => (newest !== "" && look.version === newest && fits(look) ? [i] : []));
  const images = new Set(asEntered.map((i) => looks[i]?.hash));
  const [first] = asEntered;
  if (first !== undefined && images.size === 1) return { winner: first, why: "newest" };
  if (preferred !== null) return { winner: preferred, why: "preferred" };
  if (newest === "") return { winner: null, why: "no node knows when it was written" };
  if (images.size === 0) return { winner: null, why: "no node has it as its newest change left it" };
  return { winner: null, why: "nodes hold different rows of one version" };
}

/** Whether a row is there, or gone, as its newest entry says. */
function fits({ hash, op }: Look): boolean {
  return (hash === null) === (op === "D");
}
