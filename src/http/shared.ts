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
      () => {
        answer.at = this.#clock.now();
      },
      () => this.#answers.delete(key),
    );
    return value;
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
