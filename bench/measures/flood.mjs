// What garbage by HTTP does to the links: lag and memory of a sidecar while 10,000 requests a second come.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startApplier } from "../lib/applier.mjs";
import { table, tandemPair } from "../lib/pairs.mjs";
import { inTurns, median, percentile } from "../lib/rounds.mjs";
import { latencies } from "./latency.mjs";

const program = fileURLToPath(new URL("../lib/flood.mjs", import.meta.url));
const requestsASecond = 10_000;
const rowsASecond = 20;

/** Sends garbage to an address of this machine; what came of it. */
async function flood(url, seconds) {
  const child = spawn(process.execPath, [program, url, String(requestsASecond), String(seconds)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) throw new Error(`the flood ended with ${code}`);
  return JSON.parse(said);
}

/** A server that does nothing but refuse: what the flood itself costs this machine. */
const refuser = `require("node:http").createServer((_, response) => response.writeHead(429, { connection: "close" }).end())
  .listen(0, "127.0.0.1", function () { console.log(this.address().port) })`;

async function startRefuser() {
  const child = spawn(process.execPath, ["-e", refuser], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise((resolve) => child.stdout.once("data", (text) => resolve(Number(text))));
  return { url: `http://127.0.0.1:${port}`, end: () => child.kill() };
}

async function run(context) {
  const seconds = Math.max(2, 10 * context.scale);
  const pair = await tandemPair(context.servers, context.name("tandem"), table());
  await pair.close();
  const folder = await mkdtemp(join(tmpdir(), "tandem-bench-"));
  const nodes = ["local", "external"].map((node) => `  ${node}: { url: "${pair.url(node)}" }\n`).join("");
  await writeFile(
    join(folder, "tandem.yaml"),
    `nodes:\n${nodes}http: { listen: "127.0.0.1:0", token: "a-token-of-the-bench" }\n`,
  );
  const applier = startApplier(["run"], {}, folder);
  const refusing = await startRefuser();
  try {
    const told = () => /"url":"([^"]+)"/.exec(applier.said())?.[1];
    while (!told()) await Promise.race([sleep(50), applier.ended.then(() => Promise.reject(new Error("it ended")))]);
    const url = told();
    let next = 1;
    const count = Math.round(rowsASecond * seconds);
    // One that has been asked before, so that what is loaded and compiled for the first time is not counted as kept.
    await flood(url, 2);
    /** Latencies of rows while something happens, and by how much the memory grew at most. */
    const during = async (action) => {
      const first = next;
      next += count;
      const before = applier.residentMb();
      const cpu = applier.cpuSeconds();
      let most = before;
      const timer = setInterval(() => {
        most = Math.max(most, applier.residentMb() ?? 0);
      }, 50);
      const doing = action();
      const found = await latencies(pair, first, count, rowsASecond);
      const what = await doing;
      clearInterval(timer);
      const { p50, p99 } = { p50: percentile(found, 0.5), p99: percentile(found, 0.99) };
      return { p50, p99, grownMb: most - before, cpu: (applier.cpuSeconds() - cpu) / seconds, what };
    };
    const peers = {
      quiet: () => during(async () => null),
      elsewhere: () => during(() => flood(refusing.url, seconds)),
      flooded: () => during(() => flood(url, seconds)),
    };
    await peers.quiet();
    const found = await inTurns(context.rounds, peers);
    const of = (peer, key) => median(found[peer].map((one) => one[key]));
    const more = (key) => of("flooded", key) - of("elsewhere", key);
    return {
      requestsASecond,
      seconds,
      found,
      figures: {
        tandem: { p50: more("p50"), p99: more("p99") },
        quiet: { p50: of("quiet", "p50"), p99: of("quiet", "p99") },
        elsewhere: { p50: of("elsewhere", "p50"), p99: of("elsewhere", "p99") },
        flooded: { p50: of("flooded", "p50"), p99: of("flooded", "p99") },
        grownMb: Math.max(...found.flooded.map(({ grownMb }) => grownMb)),
        cpu: of("flooded", "cpu"),
      },
    };
  } finally {
    refusing.end();
    await applier.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

export const measures = [
  {
    name: "flood",
    title:
      "10,000 requests of garbage a second for ten seconds: lag more than with the same flood elsewhere, p50 / p99 in ms",
    limit: { p50: 50, p99: 50 },
    run,
  },
];
