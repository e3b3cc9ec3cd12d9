import { nodeCheck, ok } from "./check.ts";

/** Sees that prepared transactions are possible: then no trigger notifies, and Tandem polls. Nothing to do. */
export const prepared = nodeCheck("prepared", "prepared transactions are off", async ({ facts }) =>
  facts.preparedTransactions > 0
    ? [ok(`max_prepared_transactions is ${facts.preparedTransactions}: changes are polled for, nothing notifies`)]
    : [],
);
