import { TandemError } from "../base/errors.ts";
import type { Position, SmallBatch, SmallRequest, SourceState } from "../base/exchange.ts";
import type { Connection, ExecResult } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { sqlState } from "../db/sqlstate.ts";
import { execWhole } from "../db/transaction.ts";
import { beginDurable, beginUnhurried, jsonLiteral, step } from "./session.ts";

/** The document that `tandem.source_state` answers with. */
export interface OutboundState extends Omit<SourceState, "clock" | "now"> {
  readonly peer: number;
  readonly clock: string;
  readonly snapshot: Position;
}

/** The document that `tandem.read_small` answers with. */
type SmallDocument =
  | { readonly small: false }
  | {
      readonly small: true;
      readonly to: Position;
      readonly horizon: string;
      readonly tables: readonly { readonly id: number; readonly known: Position | null; readonly rows: string[] }[];
    };

/** The document that `tandem.offer_small` answers with. */
interface OfferDocument {
  readonly quiet: boolean;
  readonly passed: boolean;
  readonly offer: string | null;
}

/** What the message is made of that is not asked for. */
interface Frame {
  readonly target: string;
  /** What ends the asking to be told of commits, if it is to end. */
  readonly hush: string;
  /** The beginning of the reading transaction, with its locks. */
  readonly lock: string;
}

/** A small batch in one message, three transactions long; null: it must go the usual way. */
export async function readSmall(
  connection: Connection,
  { from, held, acknowledge, limit, tables, ready }: SmallRequest,
  { target, hush, lock }: Frame,
): Promise<(Omit<SmallBatch, "state"> & { readonly state: OutboundState }) | null> {
  const { serverVersion, node } = connection;
  const named = tables.map(({ source: { id, mark }, columns, unplaced }) => ({ id, mark, columns, unplaced }));
  const unready = named.filter(({ id }) => !ready.has(id));
  const open = `select tandem.open_small(${quoteLiteral(node)}, ${quoteLiteral(target)}, ${quoteLiteral(from)},
      ${acknowledge === null ? "null" : jsonLiteral(acknowledge)}, ${jsonLiteral(unready)})::text as opened`;
  const read = `select tandem.read_small(${quoteLiteral(target)}, ${quoteLiteral(from)}, ${limit}, ${jsonLiteral(named)})::text as batch`;
  const offered = `select tandem.offer_small(${quoteLiteral(target)}, ${quoteLiteral(from)}, ${quoteLiteral(held)})::text as offered`;
  let answers: ExecResult[];
  try {
    answers = await execWhole(
      connection,
      `${beginUnhurried(serverVersion)}\n${hush}${step("small-open", open)};\ncommit;
      ${lock}\n${step("small-read", read)};\ncommit;
      ${beginDurable(serverVersion)}\n${step("small-offer", offered)};\ncommit`,
    );
  } catch (error) {
    // A table that is locked or gone, another applier that was faster: the usual way waits, or says what it is.
    if (connection.broken || sqlState(error) === undefined) throw error;
    return null;
  }
  const answer = (name: string) => answers.flatMap(({ rows }) => rows).find((row) => name in row)?.[name] ?? "null";
  const state = JSON.parse(answer("opened")) as OutboundState;
  const batch = JSON.parse(answer("batch")) as SmallDocument;
  const { quiet, passed, offer } = JSON.parse(answer("offered")) as OfferDocument;
  if (quiet) return { state, token: null, passed, to: state.snapshot, horizon: "", tables: [] };
  if (offer === null || state.waits || !batch.small) return null;
  const rows = batch.tables.map(({ id, ...table }) => {
    const matched = tables.find(({ source }) => source.id === id);
    if (!matched) throw new TandemError("internal", `node ${node}: a table came that was not asked for`);
    return { table: matched, ...table };
  });
  return { state, token: offer, passed, to: batch.to, horizon: batch.horizon, tables: rows };
}
