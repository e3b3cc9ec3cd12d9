import { TandemError } from "../base/errors.ts";
import { scrub } from "../base/scrub.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import { toTandemError } from "../db/sqlstate.ts";
import type { Check, ClosedNode, DoctorContext, Finding } from "./check.ts";
import { checks as allChecks } from "./checks.ts";
import { leftProbe } from "./left-probe.ts";
import { DoctorNode } from "./node.ts";
import { roundtrip as roundtripCheck } from "./roundtrip.ts";

/** What the doctor has seen. */
export interface DoctorReport {
  /** Problems first, then warnings, then what is well; within these in the order of the checks. */
  readonly findings: readonly Finding[];
  /** The nodes of the configuration; null: it could not be looked at. */
  readonly nodes: readonly { readonly name: string; readonly serverVersion: number | null }[];
  readonly problems: number;
  readonly warnings: number;
  /** 1 when there is a problem; warnings are well. */
  readonly exitCode: 0 | 1;
}

/** What the doctor works with, other than the configuration. */
export interface DoctorOptions {
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
  /** Also writes a probe row in each node, and times how long it takes into the others. */
  readonly roundtrip?: boolean | undefined;
  /** Other checks than all. */
  readonly checks?: readonly Check[] | undefined;
}

/**
 * Looks for everything that would go wrong, in all nodes at once; writes nothing that is not rolled back, but for the probe of
 * `roundtrip`, which it takes away again. A node that
 * cannot be reached, and a check that fails, are findings: nothing but a signal makes this throw.
 */
export async function doctor(config: Config, options: DoctorOptions = {}): Promise<DoctorReport> {
  const { signal, clock = systemClock, roundtrip = false } = options;
  // The round trip takes a probe away that was left: whether one is there is asked after it.
  const afterTrip = [...allChecks.filter((check) => check !== leftProbe), roundtripCheck, leftProbe];
  const { checks = roundtrip ? afterTrip : allChecks } = options;
  const { nodes, closed } = await openAll(config, signal);
  const stop = () => {
    for (const node of nodes) node.connection.destroy(stopped(signal));
  };
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const context: DoctorContext = { config, clock, nodes, closed, signal };
    const findings: Finding[] = [];
    for (const check of checks) {
      if (signal?.aborted) throw stopped(signal);
      findings.push(...(await examine(check, context)));
    }
    if (signal?.aborted) throw stopped(signal);
    return report(config, context, findings);
  } finally {
    signal?.removeEventListener("abort", stop);
    await Promise.all(nodes.map((node) => node.connection.close()));
  }
}

function stopped(signal: AbortSignal | undefined): TandemError {
  return new TandemError("stopped", "stopped by a signal", { cause: signal?.reason });
}

async function openAll(config: Config, signal: AbortSignal | undefined) {
  const nodes: DoctorNode[] = [];
  const closed: ClosedNode[] = [];
  const open = async (node: NodeConfig) => {
    try {
      return await DoctorNode.open(node, config, signal);
    } catch (error) {
      return { name: node.name, error: toTandemError(error, node.name) };
    }
  };
  for (const opened of await Promise.all(config.nodes.map(open))) {
    if (opened instanceof DoctorNode) nodes.push(opened);
    else closed.push(opened);
  }
  return { nodes, closed };
}

/** A check that found nothing says so, but not where it could not look. */
async function examine(check: Check, context: DoctorContext): Promise<Finding[]> {
  const enough = context.nodes.length >= (check.atLeast ?? 1);
  if (!enough) return [];
  const found = await check.run(context).catch((error): Finding[] => [failed(check, error)]);
  const clean = found.map((finding) => ({ ...finding, message: oneLine(finding.message) }));
  const well = clean.every(({ severity }) => severity === "ok") && context.nodes.length > 0;
  const title: Finding = { check: check.id, severity: "ok", message: check.title, remedy: null };
  return well ? [title, ...clean] : clean;
}

function failed(check: Check, error: unknown): Finding {
  const { message, hint, node } = toTandemError(error, "");
  const severity = error instanceof TandemError && error.code === "connection_lost" ? "problem" : "warning";
  return {
    check: check.id,
    severity,
    message: `could not be checked: ${message.replace(/^node : /, "")}`,
    remedy: hint,
    node,
  };
}

/** Names and expressions of the catalog may hold anything: line breaks, escape sequences, passwords. */
function oneLine(text: string): string {
  return scrub(text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").trim());
}

const order = { problem: 0, warning: 1, ok: 2 } as const;

function report(config: Config, { nodes }: DoctorContext, findings: readonly Finding[]): DoctorReport {
  const count = (severity: Finding["severity"]) => findings.filter((finding) => finding.severity === severity).length;
  const problems = count("problem");
  return {
    findings: findings.toSorted((a, b) => order[a.severity] - order[b.severity]),
    nodes: config.nodes.map(({ name }) => ({
      name,
      serverVersion: nodes.find((node) => node.name === name)?.connection.serverVersion ?? null,
    })),
    problems,
    warnings: count("warning"),
    exitCode: problems > 0 ? 1 : 0,
  };
}
