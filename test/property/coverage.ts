/** Counts what the seeds of a file have met, so that nothing is thought tested that never occurred. */
export class Coverage {
  readonly #counts = new Map<string, Map<string, number>>();

  /** Kinds that must occur are named beforehand. */
  expect(group: string, kinds: Iterable<string>): void {
    for (const kind of kinds) this.#add(group, kind, 0);
  }

  count(group: string, kind: string, by = 1): void {
    this.#add(group, kind, by);
  }

  of(group: string, kind: string): number {
    return this.#counts.get(group)?.get(kind) ?? 0;
  }

  #add(group: string, kind: string, by: number): void {
    const counts = this.#counts.get(group) ?? new Map<string, number>();
    this.#counts.set(group, counts);
    counts.set(kind, (counts.get(kind) ?? 0) + by);
  }

  /** `group: kind`, for each that never occurred. */
  missing(): string[] {
    return [...this.#counts].flatMap(([group, counts]) =>
      [...counts].filter(([, count]) => count === 0).map(([kind]) => `${group}: ${kind}`),
    );
  }

  toString(): string {
    return [...this.#counts]
      .map(([group, counts]) => {
        const kinds = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind} ${count}`);
        return `  ${group}: ${kinds.join(", ")}`;
      })
      .join("\n");
  }
}
