import yargs from "yargs";
import { TandemError } from "../base/errors.ts";
import { nearest } from "../config/suggest.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";

/** Options that every command has. */
export const commonOptions = {
  config: { type: "string", requiresArg: true, describe: "configuration file, instead of tandem.yaml of this folder" },
  json: { type: "boolean", describe: "print one JSON document on stdout" },
} as const;

/** What was asked for. `help` is a text to print instead of any work. */
export type Parsed =
  | { readonly help: string }
  | { readonly command: Command; readonly args: Readonly<Record<string, unknown>> };

/** Reads the command line; whatever it does not know is an error with code `usage`. */
export async function parseCommandLine(argv: readonly string[], version: string): Promise<Parsed> {
  let chosen: Parsed | null = null;
  const parser = yargs()
    .scriptName("tandem")
    .usage("$0 COMMAND\n\nKeeps PostgreSQL databases the same while people write to all of them.")
    // The messages of the error wrapper are English too, whatever the locale.
    .detectLocale(false)
    .parserConfiguration({ "greedy-arrays": false, "dot-notation": false, "boolean-negation": false })
    .options(commonOptions)
    .strict()
    .demandCommand(1, "name a command")
    .version(version)
    .help()
    .epilogue(
      "Exit code: 0 well, 1 something a person must look at or work that failed, 2 wrong usage or configuration.",
    )
    .fail((message, error) => {
      throw error instanceof TandemError ? error : new TandemError("usage", sentence(argv, message ?? error?.message));
    });
  for (const command of commands) {
    parser.command(
      command.usage,
      command.summary,
      (inner) => {
        for (const [name, positional] of Object.entries(command.positionals)) inner.positional(name, positional);
        return inner
          .options(command.options)
          .strict()
          .check((args) => checkValues(args, command));
      },
      (args) => {
        chosen = { command, args };
      },
    );
  }
  const help = await new Promise<string>((resolve, reject) => {
    // With a callback yargs prints nothing and ends nothing by itself.
    Promise.resolve(parser.parse([...argv], {}, (error, _, output) => (error ? reject(error) : resolve(output)))).catch(
      reject,
    );
  });
  return chosen ?? { help };
}

/** yargs takes `--wait x` for NaN, `--node=` for an empty name, and an option given twice for a list. */
function checkValues(args: Readonly<Record<string, unknown>>, command: Command): true {
  for (const [name, value] of Object.entries(args)) {
    if (name === "_" || name === "$0") continue;
    const list = command.options[name]?.array === true;
    if (Array.isArray(value) && !list) throw new TandemError("usage", `${name} is given more than once`);
    if (Number.isNaN(value)) throw new TandemError("usage", `${name} must be a number`);
    if ([value].flat().includes("")) throw new TandemError("usage", `${name} must not be empty`);
  }
  return true;
}

/** The last line of what yargs says; what it does not know comes with what was probably meant, what it lacks with how the command is used. */
function sentence(argv: readonly string[], message = "the command line cannot be read"): string {
  const last = message.split("\n").at(-1) ?? "";
  if (last.startsWith("Not enough non-option arguments")) {
    const command = commands.find(({ usage }) => argv.includes(usage.split(" ")[0] ?? ""));
    return `an argument is missing: tandem ${command?.usage}`;
  }
  const [, unknown] = /^Unknown (?:arguments?|commands?): (.*)$/.exec(last) ?? [];
  if (unknown === undefined) return last.charAt(0).toLowerCase() + last.slice(1);
  const names = commands.map(({ usage }) => usage.split(" ")[0] ?? "");
  const options = commands.flatMap((command) => Object.keys(command.options));
  const known = [...names, ...options, ...Object.keys(commonOptions)];
  const words = unknown.split(", ").map((word) => {
    const meant = nearest(word, known);
    return `unknown argument "${word}"${meant === null ? "" : ` (did you mean "${meant}"?)`}`;
  });
  return words.join("; ");
}
