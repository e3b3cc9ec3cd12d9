import type { ComponentChildren } from "preact";
import { usePage } from "./context.ts";
import type { Lists } from "./store.ts";

type Listed = "pending" | "conflicts" | "parked" | "activity";

interface ListSectionProps {
  readonly name: Listed;
  /** What stands at the right of the title. */
  readonly tools?: ComponentChildren;
  readonly children: ComponentChildren;
}

/** A list of the page with its title: what it says where it is empty, cut, or could not be read as a whole. */
export function ListSection({ name, tools, children }: ListSectionProps) {
  const { store, words } = usePage();
  const list: Lists[Listed] | undefined = store.lists[name];
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
      {list && list.rows.length > 0 && children}
      {list?.more && <p class="small">{words.list.more}</p>}
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
