import type { TandemError } from "../base/errors.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { toTandemError } from "../db/sqlstate.ts";
import type { DoctorNode } from "./node.ts";

/** `ok` is well, `warning` is well but worth knowing, `problem` must be looked at by a person. */
export type Severity = "ok" | "warning" | "problem";

/** What a check has seen, and where. `--json` prints these: the fields are visible from outside. */
export interface Finding {
  /** The id of the check. */
  readonly check: string;
  readonly severity: Severity;
  /** One line, without the place. */
  readonly message: string;
  /** What to do about it, in one line; null where there is nothing to do. */
  readonly remedy: string | null;
  readonly node?: string | undefined;
  /** Two nodes, as `local, external`. */
  readonly link?: string | undefined;
  /** As the configuration names tables: `public.perfis`. */
  readonly table?: string | undefined;
  /** Of what was timed: milliseconds. */
  readonly tookMs?: number | undefined;
}

/** A finding before it is known which check it is of. */
export type Observation = Omit<Finding, "check">;

/** Where something was seen. */
export type Place = Pick<Finding, "node" | "link" | "table">;

/** A node whose connection failed, and why. */
export interface ClosedNode {
  readonly name: string;
  readonly error: TandemError;
}

/** What a check may look at. Checks run one after the other; within one, each node may be asked at the same time. */
export interface DoctorContext {
  readonly config: Config;
  readonly clock: Clock;
  readonly nodes: readonly DoctorNode[];
  readonly closed: readonly ClosedNode[];
  readonly signal: AbortSignal | undefined;
}

/** One thing that could go wrong. */
export interface Check {
  /** Visible from outside: never rename one. */
  readonly id: string;
  /** The good state, as it is printed when nothing was found. */
  readonly title: string;
  /** How many open nodes it takes to be worth running; 1 unless given. */
  readonly atLeast?: number;
  run(context: DoctorContext): Promise<Finding[]>;
}

/** Nothing to do. */
export function ok(message: string, place: Place = {}): Observation {
  return { severity: "ok", message, remedy: null, ...place };
}

/** Tandem works; something is worth knowing or doing. */
export function warning(message: string, remedy: string, place: Place = {}): Observation {
  return { severity: "warning", message, remedy, ...place };
}

/** Tandem will not work, or not rightly, until this is mended. */
export function problem(message: string, remedy: string, place: Place = {}): Observation {
  return { severity: "problem", message, remedy, ...place };
}

/**
 * A check that looks at each node by itself. Where it cannot look, that is a finding of this node and says nothing
 * about the others; a connection that broke is a problem, anything else is left to the person.
 */
export function nodeCheck(
  id: string,
  title: string,
  look: (node: DoctorNode, context: DoctorContext) => Promise<Observation[]>,
): Check {
  const one = async (node: DoctorNode, context: DoctorContext): Promise<Finding[]> => {
    const seen = await look(node, context).catch((error) => [notSeen(node, error)]);
    return seen.map((observation) => ({ check: id, node: node.name, ...observation }));
  };
  return {
    id,
    title,
    run: async (context) => (await Promise.all(context.nodes.map((node) => one(node, context)))).flat(),
  };
}

/** A check that compares nodes: it needs two. */
export function netCheck(id: string, title: string, look: (context: DoctorContext) => Promise<Observation[]>): Check {
  return {
    id,
    title,
    atLeast: 2,
    run: async (context) => (await look(context)).map((observation) => ({ check: id, ...observation })),
  };
}

/** The finding for a check that failed itself. */
export function notSeen(node: DoctorNode, error: unknown): Observation {
  const { code, message, hint } = toTandemError(error, node.name);
  const text = `could not be checked: ${message.replace(/^node \S+: /, "")}`;
  return code === "connection_lost"
    ? problem(text, hint, { node: node.name })
    : warning(text, hint, { node: node.name });
}

/** `a, b, c and 4 more`: a line stays a line. */
export function listed(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** `1 table`, `3 tables`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
