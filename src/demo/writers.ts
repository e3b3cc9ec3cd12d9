import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Chance } from "./chance.ts";
import { shopSize, warehouses } from "./shop.ts";

/** One session of the shop's application, in one node. */
export interface Session {
  readonly node: keyof typeof warehouses;
  readonly client: pg.Client;
  readonly chance: Chance;
}

/** What the application did and what it met; a failure is anything but a refusal by the shop's own constraints. */
export interface WriterTally {
  transactions: number;
  failures: number;
  firstFailure: string | null;
}

/** An ordinary connection, as an application would make it: nothing of Tandem is in it. */
export async function openSession(url: string, rest: Omit<Session, "client">): Promise<Session> {
  const client = new pg.Client({ connectionString: url, application_name: `shop ${rest.node}` });
  // a lost connection shows itself at the next statement
  client.on("error", () => {});
  await client.connect();
  return { ...rest, client };
}

/** Writes as a shop does, one small transaction after the other with short pauses, until the signal. */
export async function keepWriting(session: Session, tally: WriterTally, signal: AbortSignal): Promise<void> {
  const placed: string[] = [];
  while (!signal.aborted) {
    await count(tally, () => oneTransaction(session, placed));
    await sleep(10 + session.chance.next() * 60);
  }
}

/** Runs a piece of the application's work and notes how it ended; never throws. */
export async function count(tally: WriterTally, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    tally.transactions++;
  } catch (error) {
    // class 23: the other side has deleted the order meanwhile; an application knows what to do with that
    if (error instanceof pg.DatabaseError && error.code?.startsWith("23")) return;
    tally.failures++;
    tally.firstFailure ??= error instanceof Error ? error.message : String(error);
  }
}

async function oneTransaction(session: Session, placed: string[]): Promise<void> {
  const { client, chance, node } = session;
  const dice = chance.next();
  const product = chance.upTo(shopSize.products);
  const order = chance.next() < 0.5 ? placed.at(-chance.upTo(20)) : undefined;
  if (dice < 0.35) placed.push(await inTransaction(client, () => placeOrder(session)));
  else if (dice < 0.6) {
    await inTransaction(client, () => payOrder(session, order ?? String(chance.upTo(shopSize.orders))));
  } else if (dice < 0.7) {
    await client.query("update products set price = $2 where id = $1", [product, chance.price()]);
  } else if (dice < 0.8) {
    await client.query("update customers set city = $2 where id = md5('customer' || $1::text)::uuid", [
      chance.upTo(shopSize.customers),
      chance.oneOf(["São Paulo", "Recife", "Fortaleza", "Belém", "Goiânia", "Coimbra"]),
    ]);
  } else if (dice < 0.88) {
    const name = chance.oneOf(["Íris Andrade", "Caetano Leão", "Zoé Brandão", "Raí D'Ávila"]);
    await client.query(
      "insert into customers (name, email, city) values ($1, gen_random_uuid() || '@exemplo.com.br', 'Olinda')",
      [name],
    );
  } else if (dice < 0.95) {
    await client.query("update stock set quantity = quantity + 50 where product_id = $1 and warehouse = $2", [
      product,
      warehouses[node],
    ]);
  } else if (order !== undefined) {
    await client.query("delete from orders where id = $1", [order]);
  }
}

async function placeOrder({ client, chance, node }: Session): Promise<string> {
  const { rows } = await client.query<{ id: string }>(
    "insert into orders (customer_id) values (md5('customer' || $1::text)::uuid) returning id",
    [chance.upTo(shopSize.customers)],
  );
  const id = rows[0]!.id;
  // in the order of their ids: two sessions that lock the same rows in different order would block each other
  const products = Array.from({ length: chance.upTo(4) }, () => chance.upTo(shopSize.products)).sort((a, b) => a - b);
  for (const [line, product] of products.entries()) {
    await client.query(
      "insert into order_items (order_id, line, product_id, quantity, price) select $1, $2, id, $3, price from products where id = $4",
      [id, line + 1, chance.upTo(3), product],
    );
    await client.query("update stock set quantity = quantity - 1 where product_id = $1 and warehouse = $2", [
      product,
      warehouses[node],
    ]);
  }
  return id;
}

async function payOrder({ client, chance }: Session, order: string): Promise<void> {
  const { rowCount } = await client.query("update orders set status = 'pago' where id = $1", [order]);
  if (!rowCount) return;
  await client.query("insert into payments (order_id, amount, method) values ($1, $2, $3)", [
    order,
    chance.price(),
    chance.oneOf(["pix", "cartão", "boleto"]),
  ]);
}

async function inTransaction<T>(client: pg.Client, body: () => Promise<T>): Promise<T> {
  await client.query("begin");
  try {
    const result = await body();
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}
