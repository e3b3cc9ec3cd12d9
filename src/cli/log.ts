import { pino } from "pino";
import type { Logger } from "../base/logger.ts";
import { hasColours, paint, printable } from "./text.ts";

const colours = { warn: "yellow", error: "red", debug: "dim" } as const;

/** The log of a sidecar on stderr: JSON for machines, one readable line for each entry on a terminal. */
export function makeLogger(stderr: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Logger {
  const on = hasColours(stderr, env);
  const destination = { write: (line: string) => void stderr.write(stderr.isTTY ? `${readable(line, on)}\n` : line) };
  return pino(
    {
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

function readable(line: string, on: boolean): string {
  const { level, time, msg, source, target, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const link = source === undefined ? "" : `${source} → ${target}: `;
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const text = printable([`${String(time).slice(11, 19)}  ${link}${msg}`, ...rest].join("  "));
  const colour = colours[level as keyof typeof colours];
  return colour ? paint(colour, text, on) : text;
}
