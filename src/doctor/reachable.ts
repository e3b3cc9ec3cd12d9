import type { Check } from "./check.ts";

/** Sees nodes that let nobody in. Remedy: the one of the error; what may be wrong with a URL is known there. */
export const reachable: Check = {
  id: "reachable",
  title: "every node answers",
  atLeast: 0,
  run: async ({ closed }) =>
    closed
      .filter(({ error }) => error.code !== "unsupported_server")
      .map(({ name, error }) => ({
        check: "reachable",
        node: name,
        severity: "problem" as const,
        message: `no connection: ${error.message.replace(/^node \S+ /, "")}`,
        remedy: error.hint,
      })),
};
