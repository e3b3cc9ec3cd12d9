import { type ErrorEntry, errorCodes } from "./error-codes.ts";

const retries: Record<ErrorEntry["retry"], string> = {
  now: "tried again at once",
  backoff: "tried again by itself, after growing pauses",
  operator: "waits for a person",
  never: "not tried again",
};

/**
 * The text of docs/errors.md. The committed file must equal it (a unit test compares), so the manual cannot
 * lack a code or tell of one that is gone.
 */
export function renderErrorManual(): string {
  const head = [
    "# Errors",
    "",
    "Made from `src/base/error-codes.ts`; do not edit. Every error is one line on stderr, `code: message. Remedy: …`;",
    "the exit code is 2 for wrong usage or configuration and 1 for all else.",
    "",
  ];
  const entries = Object.entries(errorCodes).sort(([a], [b]) => (a < b ? -1 : 1));
  const sections = entries.flatMap(([code, entry]) => [
    `## ${code}`,
    "",
    entry.summary,
    "",
    `- Remedy: ${entry.hint}`,
    `- Retry: ${retries[entry.retry]}`,
    `- Exit code: ${entry.exit}`,
    "",
  ]);
  return [...head, ...sections].join("\n");
}
