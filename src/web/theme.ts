/** What the reader has chosen, beside what the system says. */
export type Theme = "auto" | "light" | "dark";

/** A language of the page. */
export type Language = "en" | "pt-BR";

const themeKey = "tandem.theme";
const languageKey = "tandem.language";

export function savedTheme(): Theme {
  const saved = localStorage.getItem(themeKey);
  return saved === "light" || saved === "dark" ? saved : "auto";
}

/** Shows the page in a theme, and remembers it. */
export function setTheme(theme: Theme): void {
  localStorage.setItem(themeKey, theme);
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** What was chosen, else what the browser asks for. */
export function savedLanguage(): Language {
  const saved = localStorage.getItem(languageKey);
  if (saved === "en" || saved === "pt-BR") return saved;
  return navigator.language.toLowerCase().startsWith("pt") ? "pt-BR" : "en";
}

/** Tells the browser the page's language, and remembers it. */
export function setLanguage(language: Language): void {
  localStorage.setItem(languageKey, language);
  document.documentElement.lang = language;
}
