import { useCallback, useEffect, useMemo, useReducer, useState } from "preact/hooks";
import { Activity } from "./activity.tsx";
import { Backups } from "./backups.tsx";
import { Charts } from "./charts.tsx";
import { Conflicts } from "./conflicts.tsx";
import { Page, type PageContext } from "./context.ts";
import { formatOf } from "./format.ts";
import { Header } from "./header.tsx";
import { Notices } from "./notices.tsx";
import { Overview } from "./overview.tsx";
import { Parked } from "./parked.tsx";
import { Pending } from "./pending.tsx";
import type { Store } from "./store.ts";
import { type Language, savedLanguage, savedTheme, setLanguage, setTheme, type Theme } from "./theme.ts";
import { TokenDialog } from "./token-dialog.tsx";
import { en } from "./words/en.ts";
import { pt } from "./words/pt.ts";

/** The whole page. */
export function App({ store }: { readonly store: Store }) {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const [language, chooseLanguage] = useState<Language>(savedLanguage);
  const [theme, chooseTheme] = useState<Theme>(savedTheme);
  const [asking, setAsking] = useState<((unlocked: boolean) => void) | null>(null);
  const format = useMemo(() => formatOf(language), [language]);
  const words = language === "en" ? en : pt;

  useEffect(() => drawOnChange(store, () => draw(undefined)), [store]);
  const unlock = useCallback(async () => {
    if (store.access?.trusted && store.api.token !== null) return true;
    return await new Promise<boolean>((resolve) => setAsking(() => resolve));
  }, [store]);
  const page: PageContext = { store, words, format, language, theme, now: store.api.now(), unlock };
  const locked = store.connection === "locked" && store.status === null;
  return (
    <Page.Provider value={page}>
      <a class="skip" href="#content">
        {words.skip}
      </a>
      <Header
        onLanguage={(next) => {
          setLanguage(next);
          chooseLanguage(next);
        }}
        onTheme={(next) => {
          setTheme(next);
          chooseTheme(next);
        }}
      />
      <main id="content" tabIndex={-1}>
        {locked ? (
          <section class="card locked" aria-labelledby="locked">
            <h1 id="locked">{words.token.locked}</h1>
            <p>{words.token.needed}</p>
            <button type="button" class="main" onClick={() => void unlock()}>
              {words.token.unlock}
            </button>
          </section>
        ) : (
          <>
            <Overview />
            <Charts />
            <Pending />
            <Conflicts />
            <Parked />
            <Backups />
            <Activity />
          </>
        )}
      </main>
      <footer>
        {words.footer} {store.access && words.version(store.access.version)}
      </footer>
      <Notices />
      {asking && (
        <TokenDialog
          onEnd={(unlocked) => {
            setAsking(null);
            asking(unlocked);
          }}
        />
      )}
    </Page.Provider>
  );
}

/** Draws at most once a frame, and once a second for the ages. */
function drawOnChange(store: Store, draw: () => void): () => void {
  let frame = 0;
  const soon = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
  const stop = store.subscribe(soon);
  const clock = setInterval(soon, 1_000);
  return () => {
    stop();
    clearInterval(clock);
    cancelAnimationFrame(frame);
  };
}
