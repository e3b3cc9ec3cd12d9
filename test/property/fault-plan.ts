import { type Random, seeded } from "../support/seed.ts";
import type { Fault } from "./faults.ts";
import { linkCount, makePlan, type Plan, type Step } from "./plan.ts";

/** Of an applier's statements: a connection is lost before or after one of them. */
const steps = [
  "source-state",
  "meet",
  "target-state",
  "contact",
  "watch",
  "describe",
  "reconcile",
  "probe",
  "read-begin",
  "read-lock",
  "read-end",
  "read-rows",
  "stage-begin",
  "stage-prepare",
  "stage-rows",
  "closure",
  "apply",
  "confirm",
  "settle",
] as const;

/** A plan of the same seed with faults between its steps: what fails, when and how is the seed's choice too. */
export function makeFaultPlan(seed: number, nodes: number, options: { writes?: number; restarts: boolean }): Plan {
  const plan = makePlan(seed, nodes, options.writes);
  // a sequence of its own, so that a seed has the same schema and writes with and without faults
  const random = seeded(Math.imul(seed, 2654435761) + nodes);
  const topology = plan.topology === "chain" && random.chance(0.5) ? "star" : plan.topology;
  const links = linkCount(nodes, topology);
  const often = random.pick([0.15, 0.3, 0.6]);
  const faulty: Step[] = [];
  const add = (fault: Fault) => faulty.push({ kind: "fault", fault });
  const anyNode = () => random.int(0, nodes - 1);
  if (random.chance(0.5)) add({ kind: "ahead", node: anyNode(), ms: random.pick([5, 2_000, 200_000]) });
  if (random.chance(0.5)) add({ kind: "prune eagerly" });
  for (const step of plan.steps) {
    if (random.chance(often)) add(randomFault(random, anyNode, links, options.restarts));
    if (step.kind === "sync" && random.chance(0.1)) {
      faulty.push({ kind: "doubled", link: step.link });
    } else if (step.kind === "sync" && random.chance(0.25)) {
      faulty.push({ kind: "together", links: random.shuffle([...Array(links).keys()]).slice(0, random.int(2, links)) });
    } else {
      faulty.push(step);
    }
  }
  return { ...plan, topology, steps: faulty };
}

function randomFault(random: Random, node: () => number, links: number, restarts: boolean): Fault {
  const kind = random.pick(["cut", "cut", "cut", "cut", "terminate", "kill", "prune", "restart"] as const);
  switch (kind) {
    case "cut":
      return {
        kind,
        node: node(),
        step: random.pick(steps),
        when: random.pick(["before", "after"]),
        all: random.chance(0.2),
      };
    case "terminate":
    case "prune":
      return { kind, node: node() };
    case "kill":
      return { kind, link: random.int(0, links - 1) };
    case "restart":
      return restarts && random.chance(0.4)
        ? { kind, node: node(), mode: random.pick(["fast", "immediate", "crash"]) }
        : { kind: "terminate", node: node() };
  }
}
