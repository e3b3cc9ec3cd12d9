import { createInterface } from "node:readline";
import { TandemError } from "../base/errors.ts";
import { count, listing } from "../sidecar/words.ts";
import { defineCommand, type Session } from "./command.ts";

const word = "uninstall";

/** Removes Tandem, with its logs and the images of conflicts. Somebody must mean it: the word is asked for. */
export const uninstall = defineCommand({
  usage: "uninstall",
  summary: "remove Tandem from every node; the tables stay as they are",
  options: {
    node: { type: "string", requiresArg: true, describe: "only from this node" },
    yes: { type: "boolean", describe: "do not ask" },
  },
  async run({ node, yes }, session) {
    const config = await session.loadConfig();
    const { chosenNodes } = await import("../install/nodes.ts");
    const names = chosenNodes(config, node).map(({ name }) => name);
    if (!yes) await ask(`This removes Tandem, its change logs and the kept images from ${listing(names)}.`, session);
    const { uninstall: remove } = await import("../install/uninstall.ts");
    const report = await remove(config, { node, signal: session.signal });
    const lines = report.nodes.map((each) =>
      each.removed
        ? `${each.node}: removed; ${count(each.tables.length, "table")} no longer tracked`
        : `${each.node}: Tandem was not installed here`,
    );
    session.answer(report, lines.join("\n"));
    return 0;
  },
});

async function ask(what: string, { stdin, stderr, signal }: Session): Promise<void> {
  const reader = createInterface({ input: stdin, output: stderr, terminal: false });
  stderr.write(`${what}\nType the word ${word} to go on: `);
  try {
    // The input may end without an answer: then there is nobody to ask.
    const answer = await new Promise<string>((resolve) => {
      reader.once("line", resolve);
      reader.once("close", () => resolve(""));
      signal.addEventListener("abort", () => resolve(""), { once: true });
    });
    if (signal.aborted) throw new TandemError("stopped", "stopped before anything was removed");
    if (!stdin.isTTY) stderr.write("\n");
    if (answer.trim() === word) return;
  } finally {
    reader.close();
    stdin.unref?.();
  }
  throw new TandemError("usage", `nothing was removed: the word ${word} was not typed`, {
    hint: "Type it when asked, or add `--yes`.",
  });
}
