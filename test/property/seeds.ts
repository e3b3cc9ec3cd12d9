/** `writes`: how many transactions it had, where later versions draw fewer; `faults`: it was run with faults. */
interface FailedSeed {
  readonly seed: number;
  readonly nodes: number;
  readonly writes?: number;
  readonly faults?: true;
  readonly what: string;
}

/** Seeds that have failed once, with what they showed; each is a test for ever. */
export const failedOnce: readonly FailedSeed[] = [
  { seed: 2, nodes: 2, writes: 8, what: "a schema whose name needs quotes was taken for gone" },
  { seed: 3, nodes: 2, writes: 17, what: "a row committed under a deletion received before it was never sent" },
  { seed: 6, nodes: 2, writes: 13, what: "a busy row that did not come free in time ended the round" },
  { seed: 16, nodes: 2, writes: 12, what: "rows that took all of the lock time were tried again for ever" },
  { seed: 25, nodes: 2, writes: 17, what: "a cascade that another row forbids left the deletion parked" },
  { seed: 3, nodes: 2, writes: 11, faults: true, what: "a COPY lost before anybody read it ended the process" },
];
