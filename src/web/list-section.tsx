import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { usePage } from "./context.ts";
import type { Lists } from "./store.ts";

type Listed = "pending" | "conflicts" | "parked" | "activity";

interface ListSectionProps<K extends Listed> {
  readonly name: K;
  /** What stands at the right of the title. */
  readonly tools?: ComponentChildren;
  /** How many rows there are before all are asked for. */
  readonly short?: number;
  children(rows: Lists[K]["rows"]): ComponentChildren;
}

/** A list of the page with its title: what it says where it is empty, cut, or could not be read as a whole. */
export function ListSection<K extends Listed>({ name, tools, short = 8, children }: ListSectionProps<K>) {
  const { store, words, format } = usePage();
  const [all, setAll] = useState(false);
  const list: Lists[Listed] | undefined = store.lists[name];
  const rows = list?.rows ?? [];
  const shown = (all ? rows : rows.slice(0, short)) as Lists[K]["rows"];
  const failure = store.failures[name];
  return (
    <section id={name} class="card" aria-labelledby={`${name}-title`}>
      <div class="title">
        <h2 id={`${name}-title`}>{words.nav[name]}</h2>
        {tools}
      </div>
      {failure !== undefined && <Unread text={words.list.failed} original={failure} />}
      {list?.unanswered.map(({ node, error }) => (
        <Unread key={node} text={words.list.unanswered(node)} original={error.message} />
      ))}
      {list?.rows.length === 0 && <p class="empty">{words.list.empty[name]}</p>}
      {rows.length > 0 && children(shown)}
      {shown.length < rows.length && (
        <button type="button" aria-controls={name} onClick={() => setAll(true)}>
          {words.list.showAll(format.number(rows.length))}
        </button>
      )}
      {shown.length === rows.length && list?.more && (
        <p class="small">{words.list.moreThan(format.number(rows.length))}</p>
      )}
    </section>
  );
}

/** What could not be read, and in English why. */
export function Unread({ text, original }: { readonly text: string; readonly original: string }) {
  return (
    <p class="small amber">
      {text} <span lang="en">{original}</span>
    </p>
  );
}
