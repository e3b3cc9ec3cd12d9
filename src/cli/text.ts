import { styleText } from "node:util";
import { scrub } from "../base/scrub.ts";

/** Whether a stream shows colours: a terminal, and nobody asked for none. */
export function hasColours(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}

/** Colours a text, or leaves it as it is. */
export function paint(colour: "green" | "yellow" | "red" | "dim", text: string, on: boolean): string {
  return on ? styleText(colour, text) : text;
}

/**
 * A text of a database for a terminal: control characters are shown and not obeyed, for whoever writes a row must not
 * command the terminal of whoever looks at it.
 */
export function printable(text: string): string {
  return scrub(text).replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to be shown
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) =>
      ({ "\n": "\\n", "\t": "\\t", "\r": "\\r" })[character] ??
      `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** `2025-11-30 12:00:00`, in UTC; a row that never had a version says so. */
export function moment(instant: string): string {
  if (instant.startsWith("0001-01-01")) return "unknown";
  return instant.replace("T", " ").replace(/\.\d+Z$/, "");
}
