import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../db/connection.ts";
import type { Chance } from "./chance.ts";
import { shopSize } from "./shop.ts";
import { count, type Session, type WriterTally } from "./writers.ts";

/** Two prices that one product was given on both sides at the same moment. */
export interface Collision {
  readonly product: number;
  readonly local: string;
  readonly external: string;
}

/** Changes the same rows on both sides at the same moment, again and again, until the signal; prices are noted. */
export async function keepColliding(
  { local, external, chance }: { local: Session; external: Session; chance: Chance },
  { tally, collisions, signal }: { tally: WriterTally; collisions: Collision[]; signal: AbortSignal },
): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const order = chance.upTo(shopSize.orders);
    const collision = { product: chance.upTo(shopSize.products), local: chance.price(), external: chance.price() };
    if (turn % 3 === 0) {
      const change = ({ client, node }: Session) =>
        client.query("update products set price = $2 where id = $1", [collision.product, collision[node]]);
      await Promise.all([local, external].map((session) => count(tally, () => change(session))));
      collisions.push(collision);
    } else if (turn % 3 === 1) {
      const change = ({ client, node }: Session) =>
        client.query("update orders set status = $2 where id = $1", [order, node === "local" ? "enviado" : "aberto"]);
      await Promise.all([local, external].map((session) => count(tally, () => change(session))));
    } else {
      const pay = "insert into payments (order_id, amount, method) values ($1, 10, 'pix')";
      await Promise.all([
        count(tally, () => local.client.query("delete from orders where id = $1", [order])),
        count(tally, () => external.client.query(pay, [order])),
      ]);
    }
    await sleep(300);
  }
}

/** How the latest of these collisions was decided, in a sentence; null while none has been met. */
export async function tellCollision(at: Connection, collisions: readonly Collision[]): Promise<string | null> {
  for (const { product, local, external } of collisions.slice(-5).reverse()) {
    const [row] = await at.query(
      `select c.winner_origin, p.name, abs(extract(epoch from c.winner_changed_at - c.loser_changed_at) * 1000)::numeric(12,1) as apart
       from tandem.conflicts c join public.products p on p.id::text = c.key
       where c."table" = 'products' and c.key = $1 and c.winner_origin <> c.loser_origin
         and concat(c.local_image, c.incoming_image) like '%' || $2 || '%' and concat(c.local_image, c.incoming_image) like '%' || $3 || '%'
       order by c.id desc limit 1`,
      [String(product), local, external],
    );
    if (!row) continue;
    return (
      `${row.name}: local set its price to ${local}, external to ${external}, ${row.apart} ms apart; the newer change, of ${row.winner_origin}, ` +
      "stands on both sides, and the other is kept in tandem.conflicts."
    );
  }
  return null;
}
