#!/usr/bin/env node
import { errorLine, exitCodeOf } from "../base/errors.ts";
import { readPackage } from "../install/package-files.ts";
import { withSignals } from "../sidecar/signals.ts";
import type { Session } from "./command.ts";
import { errorDocument } from "./error-document.ts";
import { parseCommandLine } from "./parser.ts";

const { stdout, stderr } = process;

/** Whatever goes wrong ends here: one line on stderr, no stack trace; with --json the one document says it too. */
function report(error: unknown, json: boolean): 1 | 2 {
  stderr.write(`${errorLine(error)}\n`);
  if (json) stdout.write(`${JSON.stringify({ error: errorDocument(error) })}\n`);
  return exitCodeOf(error);
}

async function main(argv: readonly string[]): Promise<0 | 1 | 2> {
  // Read by hand, since an error of the command line itself is to be told in the form that was asked for.
  let json = argv.includes("--json");
  let answered = false;
  try {
    const { version } = await readPackage();
    const parsed = await parseCommandLine(argv, version);
    if ("help" in parsed) {
      stdout.write(`${parsed.help}\n`);
      return 0;
    }
    const { command, args } = parsed;
    json = args.json === true;
    const configFile = typeof args.config === "string" ? args.config : undefined;
    const [cwd, env] = [process.cwd(), process.env];
    const onFirst = () => {
      if (stderr.isTTY) stderr.write("Stopping after the work in hand; once more stops at once.\n");
    };
    return await withSignals(
      (signal) => {
        const session: Session = {
          json,
          cwd,
          configFile,
          env,
          stdin: process.stdin,
          stdout,
          stderr,
          signal,
          async loadConfig() {
            const { loadConfig } = await import("../config/load.ts");
            return await loadConfig({ file: configFile, cwd, env });
          },
          answer(document, text) {
            answered = true;
            if (json) stdout.write(`${JSON.stringify(document)}\n`);
            else if (text !== "") stdout.write(`${text}\n`);
          },
        };
        return command.run(args, session);
      },
      { onFirst },
    );
  } catch (error) {
    return report(error, json && !answered);
  }
}

/** What nobody awaited must not show a stack trace either. */
function onStray(error: unknown): never {
  process.exit(report(error, false));
}

process.on("uncaughtException", onStray);
process.on("unhandledRejection", onStray);
// Whoever reads our answer may stop reading: `tandem pending | head`.
stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  onStray(error);
});

process.exitCode = await main(process.argv.slice(2));
