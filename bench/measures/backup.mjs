import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { choosePrograms } from "../../dist/backup/client-programs.js";
import { runProgram } from "../lib/programs.mjs";
import { inTurns, median } from "../lib/rounds.mjs";

const tandem = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** Four fifths of the rows refer to the others. */
function shop(rows) {
  const [items, sales] = [Math.ceil(rows / 5), Math.floor((rows / 5) * 4)];
  const filled = (
    count,
  ) => `'name ' || i, i % 1000, i / 100.0, md5(i::text), timestamptz '2026-01-01' + i * interval '1 second'
    from generate_series(1, ${count}) i`;
  return `create table public.item (id bigint primary key, name text not null, amount int, price numeric, note text, at timestamptz);
    create table public.sale (id bigint primary key, item bigint not null, name text not null, amount int, price numeric, note text, at timestamptz);
    insert into public.item select i, ${filled(items)};
    insert into public.sale select i, 1 + i % ${items}, ${filled(sales)};
    alter table public.sale add foreign key (item) references public.item`;
}

/** A filled database with a folder of backups, PostgreSQL's own programs, and the command `tandem` as a process. */
class Stand {
  mb = 0;

  static async make(context) {
    const stand = new Stand();
    stand.rows = context.scaled(5_000_000);
    stand.url = (name) => context.servers.url("local", context.name(name));
    stand.folder = await mkdtemp(join(tmpdir(), "tandem-bench-"));
    stand.peerDump = join(stand.folder, "peer.dump");
    stand.admin = await context.servers.client("local", "postgres");
    stand.name = context.name;
    const version = (await stand.admin.query("show server_version_num")).rows[0].server_version_num;
    stand.programs = await choosePrograms(Math.floor(version / 10_000), { env: process.env });
    const pgBin = dirname(stand.programs.dump);
    await writeFile(
      join(stand.folder, "tandem.yaml"),
      `nodes: { local: { url: "\${DATABASE_URL}" } }\nbackup: { dir: backups, pg_bin: ${pgBin}, scratch: "\${DATABASE_URL}" }\n`,
    );
    await stand.admin.query(`create database ${context.name("source")}`);
    stand.client = await context.servers.client("local", context.name("source"));
    await stand.client.query(shop(stand.rows));
    await stand.client.query("vacuum analyze");
    return stand;
  }

  /** Milliseconds of a whole command. */
  async tandem(...args) {
    const env = { PATH: process.env.PATH, HOME: this.folder, DATABASE_URL: this.url("source") };
    await this.admin.query("checkpoint");
    const { ms, mb } = await runProgram(process.execPath, [tandem, ...args], { cwd: this.folder, env });
    this.mb = Math.max(this.mb, mb);
    return ms;
  }

  async dump() {
    await this.admin.query("checkpoint");
    const args = ["--format=custom", `--file=${this.peerDump}`, `--dbname=${this.url("source")}`];
    return (await runProgram(this.programs.dump, args)).ms;
  }

  /** Milliseconds of the peer's restore into a new database. */
  async restore() {
    const name = this.name("peer");
    await this.drop("peer");
    await this.admin.query("checkpoint");
    const start = performance.now();
    await this.admin.query(`create database ${name} template template0`);
    await runProgram(this.programs.restore, ["--exit-on-error", `--dbname=${this.url("peer")}`, this.peerDump]);
    return performance.now() - start;
  }

  drop(name) {
    return this.admin.query(`drop database if exists ${this.name(name)} with (force)`);
  }

  async end() {
    await this.client.end();
    for (const name of ["source", "peer", "ours"]) await this.drop(name);
    await rm(this.folder, { recursive: true });
  }
}

async function compared(context, prepare, tandem) {
  const stand = await Stand.make(context);
  try {
    await stand.dump();
    await prepare(stand);
    const ms = await inTurns(context.rounds, {
      peer: () => stand[tandem.peer](),
      tandem: () => tandem.run(stand),
    });
    const { rows, mb } = stand;
    return { rows, ms, mb, ratio: median(ms.tandem) / median(ms.peer) };
  } finally {
    await stand.end();
  }
}

async function intoNew(stand) {
  await stand.drop("ours");
  return await stand.tandem("restore", "latest", "--new-database", stand.name("ours"), "--yes");
}

const merged = (stand) => stand.tandem("restore", "latest", "--mode", "merge", "--yes");
const madeBackup = (stand) => stand.tandem("backup", "create");

export const measures = [
  {
    name: "backup-create",
    title: "backup of 5 million rows in both formats, time over `pg_dump -Fc`",
    limit: { atMost: 2.2 },
    run: (context) => compared(context, async () => {}, { peer: "dump", run: madeBackup }),
  },
  {
    name: "backup-restore-new",
    title: "restore of a proven backup of 5 million rows into a new database, time over `pg_restore`",
    limit: { atMost: 1.1 },
    run: (context) =>
      compared(
        context,
        async (stand) => {
          await madeBackup(stand);
          await stand.tandem("backup", "verify", "latest", "--level", "3");
        },
        { peer: "restore", run: intoNew },
      ),
  },
  {
    name: "backup-restore-unproven",
    title: "the same of a backup that was not proven, with all values compared",
    limit: {},
    run: (context) => compared(context, madeBackup, { peer: "restore", run: intoNew }),
  },
  {
    name: "backup-merge",
    title: "merge of a backup of 5 million rows, none changed, time over `pg_restore`",
    limit: { atMost: 1.5 },
    run: (context) => compared(context, madeBackup, { peer: "restore", run: merged }),
  },
  {
    name: "backup-merge-changed",
    title: "the same with one row in a hundred changed, with the safety backup",
    limit: {},
    run: (context) =>
      compared(
        context,
        async (stand) => {
          await madeBackup(stand);
          // Pinned by its name: the safety backups that follow are newer.
          stand.first = (await readdir(join(stand.folder, "backups"))).find((name) => /^\d{4}-.*Z$/.test(name));
        },
        {
          peer: "restore",
          run: async (stand) => {
            await stand.client.query("update public.sale set amount = amount + 1, note = 'changed' where id % 100 = 7");
            return await stand.tandem("restore", stand.first, "--mode", "merge", "--yes");
          },
        },
      ),
  },
  {
    name: "backup-memory",
    title: "memory of backup, its proof, merge and restore, the most of 5 million rows, MB",
    limit: { atMost: 150 },
    async run(context) {
      const stand = await Stand.make(context);
      try {
        const mb = {};
        const steps = { create: madeBackup, new: intoNew, merge: merged };
        for (const [name, step] of Object.entries(steps)) {
          stand.mb = 0;
          await step(stand);
          mb[name] = stand.mb;
        }
        return { rows: stand.rows, mb, figures: { tandem: Math.max(...Object.values(mb)) } };
      } finally {
        await stand.end();
      }
    },
  },
];
