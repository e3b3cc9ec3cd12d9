import { usePage } from "./context.ts";
import type { Language, Theme } from "./theme.ts";

interface HeaderProps {
  onLanguage(language: Language): void;
  onTheme(theme: Theme): void;
}

/** The page's head: where to go, whether it is live, and how it is shown. */
export function Header({ onLanguage, onTheme }: HeaderProps) {
  const page = usePage();
  const { store, words, language, theme } = page;
  const { nav } = words;
  const state = store.connection === "locked" ? "lost" : store.connection;
  const unlocked = store.api.token !== null;
  const pending = store.status?.links.reduce((sum, link) => sum + (link.pending ?? 0), 0) ?? 0;
  const parked = store.status?.links.reduce((sum, link) => sum + (link.parked ?? 0), 0) ?? 0;
  const places: [string, string, number][] = [
    ["overview", nav.overview, 0],
    ["history", nav.history, 0],
    ["pending", nav.pending, pending],
    ["conflicts", nav.conflicts, 0],
    ["parked", nav.parked, parked],
    ["backups", nav.backups, 0],
    ["activity", nav.activity, 0],
  ];
  return (
    <header>
      <div class="bar">
        <span class="brand">
          <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
            <circle cx="11" cy="16" r="8" class="ring one" />
            <circle cx="21" cy="16" r="8" class="ring two" />
          </svg>
          Tandem
        </span>
        <span class={`connection ${state}`} role="status">
          <span class="dot" aria-hidden="true" />
          {words.connection[state]}
        </span>
        <div class="tools">
          <select
            aria-label={words.language}
            value={language}
            onChange={({ currentTarget }) => onLanguage(currentTarget.value as Language)}
          >
            <option value="en">English</option>
            <option value="pt-BR">Português</option>
          </select>
          <select
            aria-label={words.theme.label}
            value={theme}
            onChange={({ currentTarget }) => onTheme(currentTarget.value as Theme)}
          >
            <option value="auto">{words.theme.auto}</option>
            <option value="light">{words.theme.light}</option>
            <option value="dark">{words.theme.dark}</option>
          </select>
          <button
            type="button"
            aria-pressed={unlocked}
            onClick={() => {
              if (!unlocked) return void page.unlock();
              store.api.token = null;
              // Where it does not answer, the page says so already.
              void store.readAccess().catch(() => {});
            }}
          >
            {unlocked ? words.token.lock : words.token.unlock}
          </button>
        </div>
      </div>
      <nav aria-label={nav.label}>
        <ul>
          {places.map(([id, name, count]) => (
            <li key={id}>
              <a href={`#${id}`}>
                {name}
                {count > 0 && <span class="count">{page.format.number(count)}</span>}
              </a>
            </li>
          ))}
        </ul>
      </nav>
    </header>
  );
}
