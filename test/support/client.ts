import pg from "pg";

/** A row as the server writes it: the text of each value. */
export type TextRow = Record<string, string | null>;

/** A client that hands out every value as the server's own text, so that nothing is lost in a JavaScript type. */
export async function connectClient(url: string, applicationName = "test"): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: applicationName,
    types: { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig,
  });
  // a server that a test kills must not end the test's process
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Runs one statement (or several without params) on a client, or on a connection of its own to a URL. */
export async function sql(on: string | pg.Client, text: string, params: unknown[] = []): Promise<TextRow[]> {
  if (typeof on !== "string") return rowsOf(await on.query<TextRow>(text, params.length ? params : undefined));
  const client = await connectClient(on);
  try {
    return rowsOf(await client.query<TextRow>(text, params.length ? params : undefined));
  } finally {
    await client.end();
  }
}

/** Several statements in one text give several results; the last one with columns is the answer. */
function rowsOf(result: pg.QueryResult<TextRow> | pg.QueryResult<TextRow>[]): TextRow[] {
  if (!Array.isArray(result)) return result.rows;
  return result.findLast((each) => each.fields.length > 0)?.rows ?? [];
}
