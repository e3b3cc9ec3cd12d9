import { finished } from "node:stream/promises";
import type pg from "pg";
import { from } from "pg-copy-streams";

/** Sends text through `COPY … FROM STDIN`. */
export async function copyFrom(client: pg.Client, command: string, text: string): Promise<void> {
  const stream = client.query(from(command));
  stream.end(text);
  await finished(stream);
}
