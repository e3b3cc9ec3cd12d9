import { describe, expect, test, vi } from "vitest";
import { contentOf } from "../support/content.ts";
import { skewedServer } from "../support/faketime.ts";
import { app, linkedCluster, ways } from "../support/link.ts";
import { sql, type TestNode } from "../support/pg.ts";
import { expectNoVersionTwice } from "./support.ts";

// Servers of their own: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 240_000 });

const zones = { local: "Europe/Amsterdam", external: "America/New_York" };

/** Amsterdam's clocks: from 02:59:59 to 02:00:00, and from 01:59:59 to 03:00:00. */
const changes = [
  { change: "autumn, an hour comes twice", at: lastSunday(9) },
  { change: "spring, an hour is left out", at: lastSunday(2) },
];

/** One o'clock UTC of the last Sunday of a month (0 to 11) of next year. */
function lastSunday(month: number): string {
  const last = new Date(Date.UTC(new Date().getUTCFullYear() + 1, month + 1, 0, 1));
  last.setUTCDate(last.getUTCDate() - last.getUTCDay());
  return last.toISOString();
}

const schema = `
  create table public.t (id int primary key, v text, updated_at timestamptz default clock_timestamp());
  create table public.event (
    at timestamp, zoned timestamptz, v text, clock time default localtime, clock_zoned timetz default current_time, day date default current_date,
    noted timestamp default localtimestamp, noted_zoned timestamptz default now(), span tstzrange, plain tsrange, primary key (at, zoned));`;

/** Every half hour of the night, as sessions of that zone see it; some of these local times come twice or not at all. */
const night = (at: string, v: string) =>
  `insert into public.event (at, zoned, v, span, plain)
   select m::timestamp, m, '${v}', tstzrange(m, m + interval '1 hour'), tsrange('${at.slice(0, 10)} 02:30:00', greatest(m::timestamp, '${at.slice(0, 10)} 02:30:00'))
   from generate_series(timestamptz '${at}' - interval '3 hours', timestamptz '${at}' + interval '3 hours', interval '30 minutes') m`;

const textOf = async ({ superUrl }: TestNode, id: number) =>
  (await sql(superUrl, `select v from public.t where id = ${id}`))[0]?.v;

for (const { way, options } of ways) {
  describe.each(changes)(`$change, ${way}`, ({ at }) => {
    test("C3: values of every kind of time stay as they are, and the later write wins, not the later hour", async () => {
      const clock = (seconds: number) => Date.parse(at) + seconds * 1_000 - Date.now();
      const skewed = await skewedServer(clock(-3600));
      await using linked = await linkedCluster(2, { schema, ...options, servers: [skewed.asTestServer] });
      const { nodes, links } = linked;
      for (const node of nodes) {
        const zone = zones[node.name as keyof typeof zones];
        const whose = node.owner ? `role "${node.owner}"` : `database "${node.database}"`;
        await node.admin.query(`alter ${whose} set TimeZone = '${zone}'`);
      }
      const offset = async (node: TestNode) =>
        (await app(node, "select extract(timezone from clock_timestamp()) as s"))[0]?.s;
      const before = await offset(nodes.local);
      await app(nodes.local, night(at, "local"));
      await app(nodes.external, "insert into public.t select i, 'old' from generate_series(1, 3) i");
      await links.sync();
      // before the change, and neither sees the other's
      await skewed.setAhead(clock(-60));
      await app(nodes.local, "update public.t set v = 'before', updated_at = clock_timestamp() where id in (1, 2)");
      await app(nodes.external, "update public.t set v = 'before', updated_at = clock_timestamp() where id = 3");
      await skewed.setAhead(clock(5));
      expect(await offset(nodes.local)).not.toBe(before);
      await app(nodes.external, "update public.t set v = 'after', updated_at = clock_timestamp() where id = 1");
      await app(nodes.local, "update public.t set v = 'after', updated_at = clock_timestamp() where id in (2, 3)");
      await app(
        nodes.external,
        `${night(at, "external")} on conflict do nothing; update public.event set v = 'seen' where noted is not null`,
      );
      await links.sync();
      for (const node of nodes) {
        for (const id of [1, 2, 3]) expect(await textOf(node, id), `${node.name} ${id}`).toBe("after");
      }
      // each session wrote its own local times for the same moments
      expect((await contentOf(nodes.local.superUrl, "public.event")).length).toBe(26);
      expect(
        (await links.conflicts("local"))
          .concat(await links.conflicts("external"))
          .every((line) => /^t [13] /.test(line)),
      ).toBe(true);
      expect(await links.expectRest()).toBe(29);
      await expectNoVersionTwice(nodes);
    });
  });
}
