import type { InferredOptionTypes, Options } from "yargs";
import type { Config } from "../config/config.ts";

/** How a command ends: 0 well, 1 something a person must look at. What is thrown decides for itself (1 or 2). */
export type ExitCode = 0 | 1;

/** What a command may use of the process. */
export interface Session {
  /** `--json`: the answer is one document. */
  readonly json: boolean;
  readonly cwd: string;
  /** The file that `--config` names. */
  readonly configFile: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: NodeJS.ReadStream;
  /** Answers only. */
  readonly stdout: NodeJS.WriteStream;
  /** Logs, progress, questions. */
  readonly stderr: NodeJS.WriteStream;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  loadConfig(): Promise<Config>;
  /** Prints the one answer: the document with `--json`, else the text. */
  answer(document: object, text: string): void;
}

/** A positional argument; the command line of `yargs` names it in `usage` too. */
export interface Positional {
  readonly describe: string;
  readonly type: "string" | "number";
  readonly choices?: readonly string[];
}

/**
 * A command as data, so that its surface can be listed, with its work. Options have no `default`: a default of the
 * command line would silently overrule the file. What `run` needs it imports itself: to load all modules of all
 * commands takes longer than most of them work.
 */
export interface Command {
  /** `parked [action] [id]` */
  readonly usage: string;
  readonly summary: string;
  readonly options: Readonly<Record<string, Options>>;
  readonly positionals: Readonly<Record<string, Positional>>;
  run(args: Readonly<Record<string, unknown>>, session: Session): Promise<ExitCode>;
}

interface Definition<O extends Readonly<Record<string, Options>>, P extends Readonly<Record<string, Positional>>> {
  readonly usage: string;
  readonly summary: string;
  readonly options?: O;
  readonly positionals?: P;
  run(args: InferredOptionTypes<O> & InferredOptionTypes<P>, session: Session): Promise<ExitCode>;
}

/** Ties the types of a command's arguments to its options. */
export function defineCommand<
  const O extends Readonly<Record<string, Options>>,
  const P extends Readonly<Record<string, Positional>>,
>({ usage, summary, options, positionals, run }: Definition<O, P>): Command {
  return {
    usage,
    summary,
    options: options ?? {},
    positionals: positionals ?? {},
    run: (args, session) => run(args as InferredOptionTypes<O> & InferredOptionTypes<P>, session),
  };
}
