import type { Clock } from "../base/time.ts";

// As long as a person does not see the difference, and a flood of requests is one question to the databases a second.
const freshMs = 1_000;

interface Answer {
  readonly value: Promise<unknown>;
  /** When it was there; null while it is under way. */
  at: number | null;
}

/** Many who ask the same at the same time are told the same: however many ask, a database is asked once a second. */
export class Shared {
  readonly #answers = new Map<string, Answer>();
  /** What was handed out, and how it is written once somebody has asked for that. */
  readonly #written = new WeakMap<object, Buffer | null>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What `ask` answers, or answered to another one under this key less than a second ago. Failures are not kept. */
  get<T>(key: string, ask: () => Promise<T>): Promise<T> {
    this.#forget();
    const known = this.#answers.get(key);
    if (known) return known.value as Promise<T>;
    const value = ask();
    const answer: Answer = { value, at: null };
    this.#answers.set(key, answer);
    value.then(
      (told) => {
        answer.at = this.#clock.now();
        if (typeof told === "object" && told !== null) this.#written.set(told, null);
      },
      () => this.#answers.delete(key),
    );
    return value;
  }

  /**
   * An answer as JSON. What many are told, which nobody changes, is written once, as bytes: of a text each connection would hold a copy of its
   * own for as long as its reader takes.
   */
  write(value: unknown): string | Buffer {
    const known = typeof value === "object" && value !== null ? this.#written.get(value) : undefined;
    if (known === undefined) return JSON.stringify(value);
    const bytes = known ?? Buffer.from(JSON.stringify(value));
    this.#written.set(value as object, bytes);
    return bytes;
  }

  /** An action was taken: what is known is not how things are any more. */
  clear(): void {
    this.#answers.clear();
  }

  #forget(): void {
    const now = this.#clock.now();
    for (const [key, { at }] of this.#answers) {
      if (at !== null && !(now >= at && now - at < freshMs)) this.#answers.delete(key);
    }
  }
}
