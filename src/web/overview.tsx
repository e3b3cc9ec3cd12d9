import { useEffect } from "preact/hooks";
import { act, usePage } from "./context.ts";
import { LinkTable } from "./link-table.tsx";
import { Unread } from "./list-section.tsx";
import { Picture } from "./picture.tsx";
import { type Sentence, sentencesOf } from "./sentences.ts";

interface Compared {
  readonly identical: boolean;
  readonly tables: readonly { readonly differing: number }[];
}

interface Synced {
  readonly well: boolean;
  readonly links: readonly { readonly error: { readonly message: string; readonly hint: string } | null }[];
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
    act(page, async () => {
      const { identical, tables } = await store.api.run<Compared>("/api/verify");
      const rows = tables.reduce((sum, { differing }) => sum + differing, 0);
      return ({ done }, { number }) => (identical ? done.identical : done.differing(rows, number(rows)));
    });
  const sync = () =>
    act(page, async () => {
      const { well, links } = await store.api.run<Synced>("/api/sync");
      if (well) return ({ done }) => done.synced;
      const { message = "", hint = "" } = links.find(({ error }) => error !== null)?.error ?? {};
      store.tell(({ done }) => done.notSynced, { good: false, original: `${message}. ${hint}` });
      return null;
    });
  const several = (status?.nodes.length ?? 0) > 1;
  return (
    <section id="overview" class="overview" aria-labelledby="verdict">
      {store.connection === "lost" && store.lostAt !== null && (
        <p class="banner amber" role="alert">
          {words.connection.lostSince(format.full(new Date(store.lostAt).toISOString()))}
        </p>
      )}
      <h1 id="verdict" class={status === null ? "" : looks === 0 ? "good" : "amber"}>
        {status === null
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
        <div class="card">
          <h2>{words.picture.title}</h2>
          <Picture />
          <LinkTable />
        </div>
      )}
    </section>
  );
}

const marks = { good: "M5 10.5l3.5 3.5L15 7", amber: "M10 5v6.5M10 14.6v.4", note: "M10 9v6M10 5.6v.4" } as const;

function SentenceLine({ tone, text, small, original, told }: Sentence) {
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
          {text}
        </p>
        {told !== "" && <p class="small amber">{told}</p>}
        {small !== "" && <p class="small">{small}</p>}
        {original !== "" && (
          <p class="small" lang="en">
            {original}
          </p>
        )}
      </div>
    </li>
  );
}
