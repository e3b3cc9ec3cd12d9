const secrets = new Set<string>();

/**
 * Makes `scrub` hide this text wherever it appears. Texts under eight characters, and words that are ordinary in
 * messages, are not taken: hiding every `postgres` of a message would make it unreadable and say what the password is.
 */
export function registerSecret(secret: string | null | undefined): void {
  if (!secret || secret.length < 8 || ordinary.has(secret.toLowerCase())) return;
  secrets.add(secret);
  secrets.add(encodeURIComponent(secret));
}

const ordinary = new Set(["postgres", "postgresql", "password", "database", "localhost", "external"]);

/**
 * Takes passwords out of a text that people or logs will see: in URLs, in `password=` pairs of any notation, and
 * what was registered. The greedy match up to the last `@` hides a password that holds an unencoded `@` as well.
 */
export function scrub(text: string): string {
  let clean = text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/?#]*):[^\s"]*@/gi, "$1:***@")
    .replace(/(\b(?:ssl)?password["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,;)}]+)/gi, "$1***");
  for (const secret of secrets) clean = clean.replaceAll(secret, "***");
  return clean;
}
