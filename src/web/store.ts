import { type Api, ApiError } from "./api.ts";
import type { Format } from "./format.ts";
import { listen } from "./stream.ts";
import type {
  Access,
  ActivityList,
  AlertList,
  BackupList,
  BackupOverview,
  ConflictList,
  LinkActivity,
  ParkedList,
  PendingList,
  Run,
  Status,
  Throughput,
} from "./types.ts";
import type { Words } from "./words/en.ts";

/** The lists of the page, by what they are asked from. */
export interface Lists {
  alerts: AlertList;
  pending: PendingList;
  conflicts: ConflictList;
  parked: ParkedList;
  activity: ActivityList;
  throughput: Throughput;
  overview: BackupOverview;
  backups: BackupList;
  actions: { actions: Run[] };
}

/** What a link does, and whether rows have just flowed. */
export interface LiveLink extends LinkActivity {
  readonly movedAt: number | null;
}

/** A sentence in the language that the page has when it is drawn. */
export type Told = (words: Words, format: Format) => string;

/** A sentence about what was just done, or could not be. */
export interface Notice {
  readonly id: number;
  /** `busy`: it is being done, and goes when that ends. */
  readonly tone: "good" | "amber" | "busy";
  readonly said: Told;
  /** What the sidecar said of it, in English. */
  readonly original: Told;
  readonly subject: string;
}

/** How a sentence is told. */
export interface Telling {
  readonly good?: boolean;
  readonly original?: Told;
  /** Where it is given, the sentence takes the place of an older one of the same. */
  readonly subject?: string;
}

/** Whether the sidecar answers; `locked`: it shows nothing without the token. */
export type Connection = "connecting" | "live" | "lost" | "locked";

// All together stay below a tenth of the requests that the sidecar takes of one address.
const soonestMs = 5_000;
const latestMs = 30_000;
// The sidecar writes what happened and what moved every ten seconds.
const keptEveryMs = 10_000;
const noticeMs = 12_000;

/** All that the page knows; those who draw listen to it. */
export class Store {
  readonly api: Api;
  access: Access | null = null;
  status: Status | null = null;
  connection: Connection = "connecting";
  lostAt: number | null = null;
  notices: readonly Notice[] = [];
  minutes = 60;
  readonly lists: { [K in keyof Lists]?: Lists[K] } = {};
  readonly failures: { [K in keyof Lists]?: string } = {};
  readonly links = new Map<string, LiveLink>();
  readonly #listeners = new Set<() => void>();
  readonly #asked = new Map<keyof Lists, { readonly at: number; readonly of: string }>();
  #lastNotice = 0;
  #wake = () => {};

  constructor(api: Api) {
    this.api = api;
  }

  /** Calls back after every change, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins to listen to the sidecar, and to ask for the lists while somebody looks. */
  start(signal: AbortSignal): void {
    const look = setInterval(() => this.#look(), 1_000);
    signal.addEventListener("abort", () => clearInterval(look));
    void listen(
      this.api,
      {
        onOpen: () => void this.#opened(),
        onEvent: (event, data) => this.#heard(event, data),
        onClosed: (error) => this.#closed(error),
        pause: (ms) =>
          new Promise((resolve) => {
            this.#wake = resolve;
            setTimeout(resolve, ms);
          }),
      },
      signal,
    );
  }

  /** Has the lists asked for anew: something was done. */
  refresh(): void {
    this.#asked.clear();
    this.#look();
  }

  /** Has the charts reach back so many minutes; what is there of others is not shown as if it were of these. */
  showMinutes(minutes: number): void {
    this.minutes = minutes;
    delete this.lists.throughput;
    this.refresh();
    this.changed();
  }

  /** Shows a sentence for some seconds; one about a failure stays until it is dismissed. */
  tell(said: Told, { good = true, original = () => "", subject = "" }: Telling = {}): void {
    const id = this.#notice({ tone: good ? "good" : "amber", said, original, subject });
    if (good) setTimeout(() => this.dismiss(id), noticeMs);
  }

  /** Shows a sentence for as long as something is being done: until the returned function is called. */
  tellWhile(said: Told): () => void {
    const id = this.#notice({ tone: "busy", said, original: () => "", subject: "" });
    return () => this.dismiss(id);
  }

  #notice(notice: Omit<Notice, "id">): number {
    this.#lastNotice += 1;
    const id = this.#lastNotice;
    const others = this.notices.filter(({ subject }) => subject === "" || subject !== notice.subject);
    this.notices = [...others.slice(-3), { id, ...notice }];
    this.changed();
    return id;
  }

  dismiss(id: number): void {
    this.notices = this.notices.filter((notice) => notice.id !== id);
    this.changed();
  }

  /** Tells those who draw. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Learns what may be done; throws an ApiError where the token is wrong. */
  async readAccess(): Promise<Access> {
    this.access = await this.api.get<Access>("/api/access");
    if (this.connection === "locked") this.#wake();
    this.changed();
    return this.access;
  }

  async #opened(): Promise<void> {
    this.connection = "live";
    this.lostAt = null;
    this.refresh();
    this.changed();
    // What it may do can have changed with a new sidecar.
    await this.readAccess().catch((error: unknown) => this.#closed(error));
  }

  #heard(event: string, data: unknown): void {
    if (event === "status") this.status = data as Status;
    if (event === "link" && data !== null) {
      const link = data as LinkActivity;
      const id = `${link.source}:${link.target}`;
      const before = this.links.get(id);
      const moved = before !== undefined && link.rows > before.rows;
      this.links.set(id, { ...link, movedAt: moved ? Date.now() : (before?.movedAt ?? null) });
    }
    this.changed();
  }

  #closed(error: unknown): void {
    if (error instanceof ApiError && error.status === 401) {
      this.connection = "locked";
      if (this.api.token !== null) this.tell(({ token }) => token.refused, { good: false, subject: "token" });
      this.api.token = null;
    } else if (this.connection !== "lost") {
      this.connection = "lost";
      this.lostAt = Date.now();
    }
    this.changed();
  }

  /** Asks for every list whose subject has changed, though not too often, and now and then for each. */
  #look(): void {
    if (this.connection !== "live" || document.hidden || this.status === null) return;
    const { links, problems, backups } = this.status;
    const of = (pick: (link: (typeof links)[number]) => unknown) => JSON.stringify(links.map(pick));
    this.#keep(
      "pending",
      "/api/pending?limit=100",
      of(({ pending, oldestPending }) => [pending, oldestPending]),
    );
    this.#keep(
      "conflicts",
      "/api/conflicts?limit=100",
      of(({ conflicts24h }) => conflicts24h),
    );
    this.#keep(
      "parked",
      "/api/parked?limit=100",
      of(({ parked, dropped }) => [parked, dropped]),
    );
    this.#keep("alerts", "/api/alerts", JSON.stringify(problems), keptEveryMs);
    this.#keep("activity", "/api/activity?limit=100", JSON.stringify([problems, backups]), keptEveryMs);
    this.#keep("overview", "/api/backup/status", JSON.stringify(backups));
    this.#keep("backups", "/api/backups", JSON.stringify(backups));
    this.#keep("throughput", `/api/throughput?minutes=${this.minutes}`, String(this.minutes), keptEveryMs);
    if (this.api.token !== null) this.#keep("actions", "/api/actions", "");
    this.changed();
  }

  #keep<K extends keyof Lists>(name: K, path: string, of: string, latest = latestMs): void {
    const asked = this.#asked.get(name);
    const age = asked ? Date.now() - asked.at : Number.POSITIVE_INFINITY;
    if (age < (asked?.of === of ? latest : soonestMs)) return;
    this.#asked.set(name, { at: Date.now(), of });
    this.api.get<Lists[K]>(path).then(
      (list) => {
        // The answer about minutes that are not shown any more.
        if (name === "throughput" && of !== String(this.minutes)) return;
        this.lists[name] = list as this["lists"][K];
        delete this.failures[name];
        this.changed();
      },
      (error: Error) => {
        this.failures[name] = error.message;
        this.changed();
      },
    );
  }
}
