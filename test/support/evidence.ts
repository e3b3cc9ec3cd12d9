import { appendFile } from "node:fs/promises";

/** With EVIDENCE, the name of a file: what a long run met goes there, a line of JSON each. */
export async function noteEvidence(met: Record<string, unknown>): Promise<void> {
  const file = process.env.EVIDENCE;
  if (file) await appendFile(file, `${JSON.stringify({ ...met, at: new Date().toISOString() })}\n`);
}
