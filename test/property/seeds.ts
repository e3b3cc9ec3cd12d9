/**
 * `writes`: how many transactions it had, where later versions draw fewer; `faults`: it was run with faults; `generatedUniques`: unique
 * values could be generated ones, as they can be by now.
 */
interface FailedSeed {
  readonly seed: number;
  readonly nodes: number;
  readonly writes?: number;
  readonly faults?: true;
  readonly generatedUniques?: true;
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
  {
    seed: 10039,
    nodes: 3,
    writes: 8,
    faults: true,
    what: "two appliers at a first contact, one of them failed for good",
  },
  {
    seed: 10059,
    nodes: 2,
    writes: 6,
    faults: true,
    what: "an applier died before it confirmed: changes stayed pending",
  },
  {
    seed: 10064,
    nodes: 4,
    writes: 8,
    faults: true,
    what: "a child that followed its parent's key to 1.00 was called lost",
  },
  { seed: 30024, nodes: 2, writes: 8, faults: true, what: "a composite value of nulls was taken for null by the test" },
  {
    seed: 2007,
    nodes: 2,
    writes: 14,
    faults: true,
    what: "a parked key was not found when its equal was written differently",
  },
  {
    seed: 9923461,
    nodes: 3,
    writes: 10,
    faults: true,
    what: "a row that appeared between deciding and writing was overwritten without a word",
  },
  { seed: 9931979, nodes: 4, writes: 6, faults: true, what: "an entry pruned in an idle pass was called movement" },
  { seed: 9932807, nodes: 4, writes: 7, faults: true, what: "a server did not start after a crash" },
  {
    seed: 9933197,
    nodes: 4,
    writes: 7,
    faults: true,
    what: "a row that one link inserted stayed, which another one had noted as gone",
  },
  {
    seed: 9940195,
    nodes: 3,
    writes: 9,
    faults: true,
    what: "a row committed under a deletion received before it was overwritten without a word",
  },
  {
    seed: 9946058,
    nodes: 4,
    writes: 6,
    faults: true,
    what: "what an action made of a row as soon as it had come was not captured",
  },
  {
    seed: 9948224,
    nodes: 4,
    writes: 10,
    faults: true,
    what: "a key that is written otherwise could not be, for rows that refer to it",
  },
  {
    seed: 9947493,
    nodes: 2,
    writes: 14,
    faults: true,
    what: "of two conflicts of one row, all with one stamp, one was kept",
  },
  { seed: 13191, nodes: 3, writes: 10, what: "a value that two nodes wrote alike was called lost by the test" },
  {
    seed: 9953157,
    nodes: 2,
    writes: 14,
    faults: true,
    what: "a deletion that failed alone was forgotten, its default having gone with it",
  },
  {
    seed: 9954045,
    nodes: 2,
    writes: 11,
    faults: true,
    what: "a deferrable unique value of an open transaction was taken for free",
  },
];
