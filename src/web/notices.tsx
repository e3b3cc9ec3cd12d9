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
            <p>
              <Coded text={said(words, format)} />
            </p>
            <Original text={original(words, format)} />
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

/** What the sidecar itself said of it, where that tells more. */
export function Original({ text }: { readonly text: string }) {
  if (text === "") return null;
  return (
    <p class="small long" lang="en">
      <Coded text={text} />
    </p>
  );
}
