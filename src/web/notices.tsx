import { usePage } from "./context.ts";

/** What was just done, or could not be; read aloud by those who read aloud. */
export function Notices() {
  const { store, words } = usePage();
  return (
    <div class="notices" role="status" aria-live="polite">
      {store.notices.map(({ id, good, text, hint }) => (
        <div key={id} class={`notice ${good ? "good" : "amber"}`}>
          <div>
            <p>{text}</p>
            {hint !== "" && (
              <p class="small" lang="en">
                {hint}
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
