import { type ErrorCode, errorCodes, isErrorCode } from "./error-codes.ts";
import { scrub } from "./scrub.ts";

/** Where an error happened, what caused it, and a remedy better than the one of its code. */
export interface ErrorContext {
  readonly cause?: unknown;
  readonly link?: string | undefined;
  readonly table?: string | undefined;
  readonly node?: string | undefined;
  readonly hint?: string | undefined;
}

/**
 * The one error class that leaves a module. The message is scrubbed when the error is made, so that no path of
 * logging can show a password; `cause` keeps the original and is never printed.
 */
export class TandemError extends Error {
  override readonly name = "TandemError";
  readonly code: ErrorCode;
  readonly link?: string;
  readonly table?: string;
  readonly node?: string;
  readonly #hint: string | undefined;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(scrub(message), context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    if (context.link !== undefined) this.link = context.link;
    if (context.table !== undefined) this.table = context.table;
    if (context.node !== undefined) this.node = context.node;
    this.#hint = context.hint;
  }

  /** What a person can do about it. */
  get hint(): string {
    return scrub(this.#hint ?? errorCodes[this.code].hint);
  }

  /** The exit code of a command that ends with this error. */
  get exitCode(): 1 | 2 {
    return errorCodes[this.code].exit;
  }

  /** For `--json` and logs: no stack, no cause. */
  toJSON(): Record<string, unknown> {
    const { code, message, hint, link, table, node } = this;
    return { code, message, hint, link, table, node };
  }
}

interface Coded {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly faults?: readonly unknown[];
}

/** Errors of layers that may not import this one (the configuration) are known by their shape. */
function asCoded(error: unknown): Coded {
  if (error instanceof Error && "code" in error && isErrorCode(error.code)) return error as Error & Coded;
  const message = error instanceof Error ? error.message || error.name : String(error);
  return { code: "internal", message };
}

/**
 * One clear line for a person: `code: message. Remedy: hint`. Only a configuration with several faults takes
 * more, one line for each.
 */
export function errorLine(error: unknown): string {
  const { code, message, hint, faults } = asCoded(error);
  const text = faults ? message.trimEnd() : message.replace(/\s*[\r\n]+\s*/g, " ").trim();
  const remedy = `Remedy: ${hint ?? errorCodes[code].hint}`;
  return scrub(
    text.includes("\n") ? `${code}: ${text}\n${remedy}` : `${code}: ${text.replace(/[.\s]+$/, "")}. ${remedy}`,
  );
}

/** The exit code for whatever was thrown. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return errorCodes[asCoded(error).code].exit;
}
