import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { ApiError } from "./api.ts";
import type { Format } from "./format.ts";
import type { Store } from "./store.ts";
import type { Language, Theme } from "./theme.ts";
import type { Words } from "./words/en.ts";

/** What every part of the page may use. */
export interface PageContext {
  readonly store: Store;
  readonly words: Words;
  readonly format: Format;
  readonly language: Language;
  readonly theme: Theme;
  /** Milliseconds since 1970 by the sidecar's clock, as of the last drawing. */
  readonly now: number;
  /** Resolves true once actions are unlocked; asks for the token where it must. */
  unlock(): Promise<boolean>;
}

export const Page = createContext<PageContext | null>(null);

/** The page's context. */
export function usePage(): PageContext {
  const page = useContext(Page);
  if (page === null) throw new Error("outside of the page");
  return page;
}

/** Does something that needs the token, and shows what became of it. Returns whether it was done. */
export async function act(page: PageContext, work: () => Promise<string>): Promise<boolean> {
  const { store } = page;
  if (!(await page.unlock())) return false;
  try {
    const told = await work();
    if (told !== "") store.tell(told);
    return true;
  } catch (error) {
    const hint = error instanceof ApiError ? error.hint : "";
    store.tell(error instanceof Error ? error.message : String(error), { good: false, hint });
    return false;
  } finally {
    store.refresh();
  }
}
