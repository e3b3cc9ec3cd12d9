import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { ApiError } from "./api.ts";
import type { Format } from "./format.ts";
import type { Store, Told } from "./store.ts";
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

/**
 * Does something that needs the token, and shows what became of it; null: nothing is to be said. Meanwhile, where it may take
 * long, that `action` (one of `words.actions`) is under way. Returns whether it was done.
 */
export async function act(
  { store, unlock }: PageContext,
  work: () => Promise<Told | null>,
  action?: string,
): Promise<boolean> {
  if (!(await unlock())) return false;
  const ended =
    action === undefined
      ? () => {}
      : store.tellWhile(({ activity, actions }) => activity.runningFor(actions[action] ?? action));
  try {
    const told = await work();
    if (told !== null) store.tell(told);
    return true;
  } catch (error) {
    store.tell((words) => failureIn(words, error), {
      good: false,
      original: (words) => originalOf(words, error),
      subject: String(error),
    });
    return false;
  } finally {
    ended();
    store.refresh();
  }
}

/** A failure in the words of the page. */
export function failureIn(words: Words, error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  return error.status === 0 ? words.noAnswer : (words.failure(error.code) ?? error.message);
}

/** Of these the hint is a request to the sidecar: what the page itself shows, or has a button for. */
const requestHints = new Set(["link_paused", "action_running", "bad_request"]);

/** What the sidecar said of a failure, in English, besides what `failureIn` says. */
export function originalOf(words: Words, error: unknown): string {
  if (!(error instanceof ApiError) || error.status === 0) return "";
  const { code, message } = error;
  const hint = requestHints.has(code) ? "" : error.hint;
  if (words.failure(code) === null) return hint;
  return hint === "" ? message : `${message}. ${hint}`;
}
