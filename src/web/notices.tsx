import { usePage } from "./context.ts";

/** What was just done, or could not be; read aloud by those who read aloud. */
export function Notices() {
  const { store, words, format } = usePage();
  return (
    <div class="notices" role="status" aria-live="polite">
      {store.notices.map(({ id, good, said, original }) => (
        <div key={id} class={`notice ${good ? "good" : "amber"}`}>
          <div>
            <p>{said(words, format)}</p>
            {original !== "" && (
              <p class="small" lang="en">
                {original}
              </p>
            )}
          </div>
          <button type="button" aria-label={words.dismiss} onClick={() => store.dismiss(id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
