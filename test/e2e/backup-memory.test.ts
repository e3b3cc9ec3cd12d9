import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { spawnTandem, tempFolder } from "../support/child.ts";
import { pgDump } from "../support/components.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 600_000 });

async function folderOf(nodes: Cluster) {
  const cwd = await tempFolder();
  const text = `nodes: { local: { url: "\${DATABASE_URL}" } }\nbackup: { dir: backups, pg_bin: ${dirname(pgDump())} }\n`;
  await writeFile(join(cwd, "tandem.yaml"), text);
  return { cwd, env: { DATABASE_URL: nodes.local.url } };
}

test("B2 memory does not grow with rows, nor with one huge row, in create, restore and the proof (thing 12)", async (context) => {
  await using nodes = await cluster(1);
  const [rows, megabytes] = [Number(process.env.ROWS ?? 50_000), Number(process.env.ROW_MB ?? 60)];
  const { admin } = nodes.local;
  await admin.query(`create table item (id int primary key, name text); create table huge (id int primary key, name text);
    insert into item select g, repeat(md5(g::text), 10) from generate_series(1, ${rows}) g; insert into huge values (1, repeat('0123456789', ${megabytes * 100_000}))`);
  const at = await folderOf(nodes);
  /** The most megabytes that a command has held at once, by the kernel's own account. */
  const peakOf = async (args: string[]): Promise<number> => {
    const child = spawnTandem(args, at);
    let peak = 0;
    await waitFor(
      async () => {
        const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
        peak = Math.max(peak, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
        return child.result;
      },
      { every: 50, deadlineMs: 150_000, what: args.join(" ") },
    );
    expect(child.result, child.result?.stderr).toMatchObject({ code: 0 });
    return peak;
  };
  const idle = await peakOf(["backup", "list"]);
  if (idle === 0) return context.skip("no /proc");
  const peaks = {
    create: await peakOf(["backup", "create"]),
    verify: await peakOf(["backup", "verify", "latest"]),
    restore: await peakOf(["restore", "latest", "--mode", "exact", "--yes"]),
  };
  for (const [what, peak] of Object.entries(peaks))
    expect(peak, `${what} ${JSON.stringify({ idle, ...peaks })}`).toBeLessThan(150);
});
