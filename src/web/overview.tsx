import { useEffect } from "preact/hooks";
import { Coded } from "./coded.tsx";
import { act, usePage } from "./context.ts";
import { LinkTable } from "./link-table.tsx";
import { Unread } from "./list-section.tsx";
import { Picture } from "./picture.tsx";
import { type Sentence, sentencesOf } from "./sentences.ts";

interface Compared {
  readonly identical: boolean;
  readonly tables: readonly { readonly schema: string; readonly name: string; readonly differing: number }[];
}

interface Synced {
  readonly well: boolean;
  readonly links: readonly {
    readonly parked: number;
    readonly error: { readonly code: string; readonly message: string; readonly hint: string } | null;
  }[];
}

/** What the page opens with: how all is, in sentences, and the picture of it. */
export function Overview() {
  const page = usePage();
  const { store, words, format } = page;
  const { status, lists } = store;
  const alerts = lists.alerts?.alerts ?? [];
  const sentences = status ? sentencesOf({ status, alerts, overview: lists.overview ?? null }, page) : [];
  const looks = sentences.filter(({ tone }) => tone === "amber").length;
  useEffect(() => {
    document.title = looks > 0 ? `(${looks}) Tandem` : "Tandem";
  }, [looks]);

  const compare = () =>
    act(
      page,
      async () => {
        const { identical, tables } = await store.api.run<Compared>("/api/verify");
        if (identical) return ({ done }) => done.identical;
        const differing = tables.filter((table) => table.differing > 0);
        const rows = differing.reduce((sum, table) => sum + table.differing, 0);
        const names = differing.map(({ schema, name }) => (schema === "public" ? name : `${schema}.${name}`));
        store.tell(({ done }, { number, listing }) => done.differing(rows, number(rows), listing(names)), {
          good: false,
          subject: "compared",
        });
        return null;
      },
      "verify",
    );
  const sync = () =>
    act(
      page,
      async () => {
        const { well, links } = await store.api.run<Synced>("/api/sync");
        if (well) return ({ done }) => done.synced;
        const error = links.find((link) => link.error !== null)?.error ?? null;
        const parked = links.reduce((sum, link) => sum + link.parked, 0);
        if (error === null && parked > 0) return ({ done }, { number }) => done.syncedBut(parked, number(parked));
        // Of a link that rests the hint is a request: here it has a button.
        const hint = error === null || error.code === "link_paused" ? "" : error.hint;
        const original = error === null ? "" : `${error.message}. ${hint}`.trim();
        store.tell(({ done }) => done.notSynced, { good: false, original: () => original, subject: "synced" });
        return null;
      },
      "sync",
    );
  const several = (status?.nodes.length ?? 0) > 1;
  // What was well is not said to be so while nobody knows.
  const lost = store.connection === "lost";
  return (
    <section id="overview" class="overview" aria-labelledby="verdict">
      {lost && store.lostAt !== null && (
        <p class="banner amber" role="alert">
          {words.connection.lostSince(format.full(new Date(store.lostAt).toISOString()))}
        </p>
      )}
      <h1 id="verdict" class={lost ? "amber" : status === null ? "" : looks === 0 ? "good" : "amber"}>
        {lost
          ? words.verdict.lost
          : status === null
            ? words.verdict.waiting
            : looks === 0
              ? words.verdict.well
              : words.verdict.look(looks, format.number(looks))}
      </h1>
      {status && (
        <ul class="sentences">
          {sentences.map((sentence) => (
            <SentenceLine key={sentence.text} {...sentence} />
          ))}
        </ul>
      )}
      {store.failures.alerts !== undefined && <Unread text={words.alertsUnread} original={store.failures.alerts} />}
      {several && (
        <div class="buttons start">
          <button type="button" onClick={() => void compare()}>
            {words.compare}
          </button>
          <button type="button" onClick={() => void sync()}>
            {words.syncNow}
          </button>
        </div>
      )}
      {status && several && (
        <div id="links" class="card">
          <h2>{words.picture.title}</h2>
          <Picture />
          <LinkTable />
        </div>
      )}
    </section>
  );
}

const marks = { good: "M5 10.5l3.5 3.5L15 7", amber: "M10 5v6.5M10 14.6v.4", note: "M10 9v6M10 5.6v.4" } as const;

function SentenceLine({ tone, text, small, original, told, place }: Sentence) {
  const { words } = usePage();
  return (
    <li class={tone}>
      <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
        <circle cx="10" cy="10" r="10" />
        <path d={marks[tone]} />
      </svg>
      <div>
        <p>
          <span class="aside">{words.sentence[tone]} </span>
          <Coded text={text} />
        </p>
        {told !== "" && <p class="small amber">{told}</p>}
        {(small !== "" || place !== null) && (
          <p class="small">
            <Coded text={small} /> {place !== null && <a href={`#${place}`}>{words.places[place]}</a>}
          </p>
        )}
        {original !== "" && (
          <p class="small" lang="en">
            <Coded text={original} />
          </p>
        )}
      </div>
    </li>
  );
}
