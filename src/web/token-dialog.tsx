import { useState } from "preact/hooks";
import { ApiError } from "./api.ts";
import { Coded } from "./coded.tsx";
import { failureIn, usePage } from "./context.ts";
import { Dialog } from "./dialog.tsx";

/** Asks for the token, once a tab, and keeps only one that the sidecar takes. */
export function TokenDialog({ onEnd }: { onEnd(unlocked: boolean): void }) {
  const { store, words } = usePage();
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState("");
  const { token: said } = words;
  const none = store.access?.actions === false;

  const enter = async () => {
    const before = store.api.token;
    store.api.token = token.trim();
    try {
      await store.readAccess();
      store.tell((words) => words.token.unlocked);
      onEnd(true);
    } catch (error) {
      store.api.token = before;
      setWrong(error instanceof ApiError && error.status === 401 ? said.wrong : failureIn(words, error));
    }
  };
  return (
    <Dialog title={said.title} onClose={() => onEnd(false)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void enter();
        }}
      >
        <p>
          <Coded text={none ? said.none : said.explain} />
        </p>
        {!none && (
          <label>
            {said.label}
            <input
              type="password"
              autocomplete="off"
              spellcheck={false}
              value={token}
              aria-invalid={wrong !== ""}
              aria-describedby="token-wrong"
              onInput={({ currentTarget }) => setToken(currentTarget.value)}
            />
          </label>
        )}
        <p id="token-wrong" class="wrong" role="alert">
          {wrong}
        </p>
        <div class="buttons">
          <button type="button" onClick={() => onEnd(false)}>
            {none ? words.close : words.cancel}
          </button>
          {!none && (
            <button type="submit" class="main" disabled={token.trim() === ""}>
              {said.go}
            </button>
          )}
        </div>
      </form>
    </Dialog>
  );
}
