import { expect, test, vi } from "vitest";
import { cluster } from "../support/pg.ts";
import { seeded } from "../support/seed.ts";
import { Contender, HoldUps, schema } from "./contention.ts";
import { synced } from "./servers.ts";
import { expectEqualAtRest, Opened, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 400_000 });

test("C3 C9: whatever the application locks, and in whatever isolation, the applier ends none of its transactions by a deadlock, and all converges", async () => {
  const random = seeded(Number(process.env.SEED ?? Date.now() % 100_000));
  process.stdout.write(`SEED=${random.seed}\n`);
  await using opened = new Opened();
  const { nodes } = opened.add(await cluster(2));
  for (const { admin } of nodes) await admin.query(schema);
  const at = await synced(opened, Object.fromEntries(nodes.map(({ name, url }) => [name, url])));
  await using running = sidecar(at);
  for (const { name } of nodes) await running.waitForLine(new RegExp(`"node":"${name}".*works on the links`));

  const holdUps = new HoldUps(nodes);
  const contenders = [0, 1, 2, 3, 4, 5].map(
    (i) => new Contender(nodes[i % 2]!.url, random.fork(), 1_000_000 * (i + 1)),
  );
  await Promise.all(contenders.map((contender) => contender.run(Number(process.env.TXNS ?? 40))));
  const { waits, longestMs } = await holdUps.end();
  expect(contenders.flatMap(({ errors }) => errors)).toEqual([]);

  const rows = await expectEqualAtRest(nodes, () => running.stderr);
  expect(rows).toBeGreaterThan(50);
  expect(running.result, running.stderr).toBeUndefined();
  const [committed, again] = [contenders.map((c) => c.committed), contenders.map((c) => c.again)].map((counts) =>
    counts.reduce((sum, count) => sum + count),
  );
  process.stdout.write(
    `${committed} transactions, ${again} begun again; ${waits} statements waited for the applier, for ${longestMs} ms at most\n`,
  );
});
