/** What a soak found, for the evidence. */
export interface SoakReport {
  readonly firstSeed: number;
  readonly lastSeed: number;
  readonly minutes: number;
  readonly servers: readonly string[];
  readonly passed: Readonly<Record<string, number>>;
  readonly failed: readonly { readonly seed: number; readonly nodes: number; readonly error: string }[];
  readonly met: string;
}
