import { usePage } from "./context.ts";
import { ListSection } from "./list-section.tsx";

/** What happened, and what is under way. */
export function Activity() {
  const { store, words, format, now } = usePage();
  const { activity: said } = words;
  const running = store.lists.actions?.actions.filter(({ state }) => state === "running") ?? [];
  return (
    <ListSection
      name="activity"
      short={100}
      tools={running.map(({ id, action, subject }) => (
        <span key={id} class="badge note">
          {said.runningFor(`${words.actions[action] ?? action} ${subject}`.trim())}
        </span>
      ))}
    >
      {(rows) => (
        <ol class="log">
          {rows.map(({ node, id, at, kind, source, target, message, actor }) => (
            <li key={`${node} ${id}`} class={kind.endsWith("failed") ? "amber" : ""}>
              <time dateTime={at} title={format.full(at)}>
                {format.moment(at, now)}
              </time>
              <div>
                <p>
                  <strong>{said.kinds[kind] ?? kind}</strong> {source === null ? target : `${source} → ${target}`}
                </p>
                <p class="small">
                  <span lang="en">{message}</span> · {actor}
                </p>
              </div>
            </li>
          ))}
        </ol>
      )}
    </ListSection>
  );
}
