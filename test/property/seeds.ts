/** Seeds that have failed once, with what they showed; each is a test for ever. */
export const failedOnce: readonly { readonly seed: number; readonly nodes: number; readonly what: string }[] = [];
