import { Coded } from "./coded.tsx";
import { usePage } from "./context.ts";

/** What was just done, or could not be; read aloud by those who read aloud. */
export function Notices() {
  const { store, words, format } = usePage();
  return (
    <div class="notices" role="status" aria-live="polite">
      {store.notices.map(({ id, tone, said, original }) => (
        <div key={id} class={`notice ${tone}`}>
          <div>
            <p>{said(words, format)}</p>
            {original !== "" && (
              <p class="small" lang="en">
                <Coded text={original} />
              </p>
            )}
          </div>
          {tone !== "busy" && (
            <button type="button" aria-label={words.dismiss} onClick={() => store.dismiss(id)}>
              ×
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
