import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type EmbeddedServer, startServer } from "../../src/embedded/server.ts";
import { AlertServer } from "../support/alert-server.ts";
import { spawnTandem, type TandemProcess, tandem, tempFolder } from "../support/child.ts";
import { sql } from "../support/client.ts";
import { afterTest, testMajor } from "../support/pg.ts";
import type { Random } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import { type Episode, end, wantedOf, wordsOf } from "./episodes.ts";
import { type Series, Watch } from "./watch.ts";
import { schema, Writer } from "./writer.ts";

/** How long things last; the alerts' own limits, and longer than what heals by itself. */
export interface Pace {
  readonly linkDownMs: number;
  readonly parkedMs: number;
  readonly lagMs: number;
  readonly scrapeMs: number;
}

const token = "a-token-that-nobody-guesses-7Fq";
const settleMs = 6_000;
// As durable as an application's server: what was acknowledged survives being killed.
const settings = { max_connections: "60", shared_buffers: "32MB", full_page_writes: "off" };

/** `tandem run` between two servers that are restarted while people write to both, watched all the time. */
export class Endurance implements AsyncDisposable {
  readonly episodes: { readonly words: string; readonly events: readonly string[] }[] = [];
  readonly wrong: string[] = [];
  /** False: something was awaited in vain. */
  going = true;
  readonly watch: Watch;
  readonly writers: readonly Writer[];
  readonly #servers: ReadonlyMap<string, EmbeddedServer>;
  readonly #sidecar: TandemProcess;
  readonly #alerts: AlertServer;
  readonly #url: string;
  readonly #pace: Pace;

  private constructor(given: {
    servers: ReadonlyMap<string, EmbeddedServer>;
    sidecar: TandemProcess;
    alerts: AlertServer;
    url: string;
    pace: Pace;
    random: Random;
  }) {
    this.#servers = given.servers;
    this.#sidecar = given.sidecar;
    this.#alerts = given.alerts;
    this.#url = given.url;
    this.#pace = given.pace;
    this.watch = new Watch(given.url, given.sidecar.pid, given.pace.scrapeMs);
    this.writers = [...given.servers].map(([node, server]) => new Writer(server.url(), node, given.random.fork()));
  }

  static async open(pace: Pace, random: Random): Promise<Endurance> {
    const servers = new Map<string, EmbeddedServer>();
    for (const node of ["local", "external"]) {
      const server = await startServer({ major: testMajor(), settings });
      afterTest(() => server.stop("immediate"));
      servers.set(node, server);
      const check = node === "external" ? " check (qty < 100)" : "";
      await sql(server.url(), `${schema}; create table item (id int primary key, qty int not null${check});`);
    }
    const alerts = await AlertServer.open();
    const cwd = await tempFolder();
    const nodes = [...servers].map(([node, server]) => `  ${node}: { url: "${server.url()}" }\n`).join("");
    const { linkDownMs, parkedMs, lagMs } = pace;
    await writeFile(
      join(cwd, "tandem.yaml"),
      `nodes:
${nodes}sync: { seed: local }
http: { listen: "127.0.0.1:0", token: "${token}" }
alerts:
  every: 1s
  rules: { link_down: ${linkDownMs / 1_000}s, parked: ${parkedMs / 1_000}s, lag: ${lagMs / 1_000}s, conflicts_per_hour: off }
  targets:
    - { name: hook, webhook: "${alerts.url("/hook")}", secret: "a-secret-of-the-webhook-81" }
`,
    );
    for (const command of ["migrate", "sync"]) {
      const { code, stderr } = await tandem([command], { cwd });
      if (code !== 0) throw new Error(`tandem ${command}: ${code}\n${stderr}`);
    }
    const sidecar = spawnTandem(["run"], { cwd });
    const { url } = JSON.parse(await sidecar.waitForLine("HTTP is there", { deadlineMs: 60_000 })) as { url: string };
    return new Endurance({ servers, sidecar, alerts, url, pace, random });
  }

  /** Throws the sidecar's last words where it has ended. */
  #alive(): void {
    const ended = this.#sidecar.result;
    if (ended) throw new Error(`the sidecar ended: ${ended.code ?? ended.signal}\n${ended.stderr.slice(-4_000)}`);
  }

  /** Does it, waits until all is well again, and keeps what people were told meanwhile. What never comes is `wrong`, and the end. */
  async pass(episode: Episode): Promise<void> {
    await this.#orWrong(() => this.#pass(episode));
  }

  async #orWrong<T>(action: () => Promise<T>): Promise<T | null> {
    try {
      return await action();
    } catch (error) {
      this.going = false;
      this.wrong.push(String(error instanceof Error ? error.message : error).slice(0, 4_000));
      return null;
    }
  }

  async #pass(episode: Episode): Promise<void> {
    const before = this.#events().length;
    await this.#happen(episode, () => this.#events().slice(before));
    await this.#untilWell(wordsOf(episode));
    const wanted = wantedOf(episode);
    // A word leaves only when it is kept, after the metrics have it: it may come late on a busy machine, but it has to come.
    await waitFor(() => wanted.every((one) => this.#events().slice(before).includes(one)), {
      deadlineMs: 90_000,
      what: () => `all that ${wordsOf(episode)} is to be told of; told: ${this.#events().slice(before).join(", ")}`,
    });
    // Whatever else is told is told too much.
    await sleep(settleMs);
    this.#alive();
    const events = this.#events().slice(before);
    if (String(events.toSorted()) !== String(wanted.toSorted()))
      this.wrong.push(
        `${wordsOf(episode)}: told ${events.join(", ") || "nothing"}, not ${wanted.join(", ") || "nothing"}`,
      );
    this.episodes.push({ words: wordsOf(episode), events });
  }

  async #happen(episode: Episode, events: () => readonly string[]): Promise<void> {
    const told = () =>
      waitFor(() => wantedOf(episode).every((one) => one.startsWith("cleared") || events().includes(one)), {
        deadlineMs: this.#pace.lagMs + 120_000,
        what: () => `${wordsOf(episode)} to be told; told: ${events().join(", ")}`,
      });
    switch (episode.kind) {
      case "restart":
      case "outage": {
        const servers = episode.nodes.map((node) => this.#server(node));
        await Promise.all(servers.map((server) => end(server, episode.how)));
        if (episode.kind === "outage") {
          await told();
          await this.#expectDown(episode.nodes);
          await sleep(episode.moreMs);
        }
        await Promise.all(servers.map((server) => server.restart()));
        return;
      }
      case "parked": {
        const id = this.episodes.length + 1;
        await sql(this.#server("local").url(), `insert into item values (${id}, 500)`);
        await told();
        await sql(this.#server("local").url(), `update item set qty = 1 where id = ${id}`);
        return;
      }
      case "paused":
        await this.#post("/api/links/local:external/pause");
        await told();
        await this.#post("/api/links/local:external/resume");
    }
  }

  /** The metrics say so, as soon as answers that are shared for a moment are made anew; also what is told, where no node answers. */
  async #expectDown(down: readonly string[]): Promise<void> {
    const nodes = [...this.#servers.keys()];
    let series: Series = new Map();
    const said = async () => {
      series = await this.watch.scrape();
      return (
        nodes.every((node) => series.get(`tandem_node_up{node="${node}"}`) === (down.includes(node) ? 0 : 1)) &&
        series.get('tandem_alerts_firing{rule="link_down"}') === down.length &&
        series.get("tandem_well") === 0
      );
    };
    await waitFor(said, {
      deadlineMs: 60_000,
      every: 500,
      what: () => `the metrics to say that ${down} is down: ${[...series].map((one) => one.join(" ")).join("\n")}`,
    });
  }

  async #untilWell(what: string): Promise<void> {
    let series: Series = new Map();
    const well = async () => {
      this.#alive();
      series = await this.watch.scrape();
      const firing = [...series].filter(([name, value]) => name.startsWith("tandem_alerts_firing") && value > 0);
      return series.get("tandem_well") === 1 && firing.length === 0;
    };
    await waitFor(well, {
      deadlineMs: 180_000,
      every: 500,
      what: () => `all well after ${what}: ${[...series].map((one) => one.join(" ")).join("\n")}`,
    });
  }

  /** The writers end, all comes to rest, the metrics say so; then the sidecar ends, and leaves nobody behind. */
  async rest(): Promise<number> {
    const rows = await this.#orWrong(() => this.#rest());
    return rows ?? 0;
  }

  async #rest(): Promise<number> {
    for (const writer of this.writers) await writer.stop();
    let series: Series = new Map();
    const still = async () => {
      series = await this.watch.scrape();
      const waiting = [...series].filter(([name]) => /^tandem_link_(pending_changes|parked_rows|failing)\{/.test(name));
      return waiting.length === 6 && waiting.every(([, value]) => value === 0) && series.get("tandem_well") === 1;
    };
    await waitFor(still, { deadlineMs: 120_000, every: 500, what: () => [...series.keys()].join("\n") });
    await this.#expectCounted(series);
    const rows = await this.#expectEqual();
    for (const writer of this.writers) {
      for (const server of this.#servers.values()) this.wrong.push(...(await writer.lostIn(server.url())));
    }
    await this.watch[Symbol.asyncDispose]();
    this.wrong.push(...this.watch.wrong);
    const { code, stderr } = await this.#sidecar.kill("SIGTERM");
    if (code !== 0) this.wrong.push(`SIGTERM: the sidecar ended with ${code}: ${stderr.slice(-2_000)}`);
    for (const [node, server] of this.#servers) {
      const left = await sql(
        server.url(),
        "select application_name as name from pg_stat_activity where application_name like 'tandem%'",
      );
      if (left.length > 0) this.wrong.push(`left in ${node}: ${left.map(({ name }) => name).join(", ")}`);
    }
    return rows;
  }

  /** What the metrics say of conflicts and rows is what the nodes hold. */
  async #expectCounted(series: Series): Promise<void> {
    for (const [source, target] of [...this.#servers.keys()].map((one, i, all) => [one, all[1 - i] ?? ""] as const)) {
      const of = (name: string) => series.get(`tandem_link_${name}{source="${source}",target="${target}"}`);
      const [row] = await sql(
        this.#server(target).url(),
        `select (select count(*) from tandem.conflict c where c.peer_id = p.peer_id) as conflicts,
           (select count(*) from ledger where node = '${source}') as rows from tandem.peer p where p.name = '${source}'`,
      );
      if (of("day_conflicts") !== Number(row?.conflicts))
        this.wrong.push(
          `conflicts of ${source} in ${target}: ${row?.conflicts}, by the metrics ${of("day_conflicts")}`,
        );
      if ((of("rows_applied_total") ?? 0) < Number(row?.rows))
        this.wrong.push(`rows of ${source} in ${target}: ${row?.rows}, by the metrics ${of("rows_applied_total")}`);
    }
  }

  async #expectEqual(): Promise<number> {
    let rows = 0;
    for (const [table, key] of Object.entries({ ledger: "node, n", account: "id", shared: "id", item: "id" })) {
      const contents: (string | null | undefined)[] = [];
      for (const server of this.#servers.values()) {
        const [row] = await sql(
          server.url(),
          `select count(*)::text as n, md5(string_agg(t::text, '|' order by ${key})) as content from ${table} t`,
        );
        contents.push(`${row?.n} ${row?.content}`);
      }
      rows += Number(contents[0]?.split(" ")[0]);
      if (new Set(contents).size !== 1) this.wrong.push(`${table} differs: ${contents.join(", ")}`);
    }
    return rows;
  }

  #events(): string[] {
    return this.#alerts.events("/hook");
  }

  #server(node: string): EmbeddedServer {
    const server = this.#servers.get(node);
    if (!server) throw new Error(`there is no server ${node}`);
    return server;
  }

  async #post(path: string): Promise<void> {
    const response = await fetch(`${this.#url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.writers) await writer[Symbol.asyncDispose]();
    await this.watch[Symbol.asyncDispose]();
  }
}
