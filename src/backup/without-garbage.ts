import type { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** So many bytes pass between two looks at what is new, each of a millisecond, and between two at everything, each of some 20. */
const [bytesToYoung, bytesToAll] = [2 ** 20, 8 * 2 ** 20];

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;

/**
 * Passes a stream on and has garbage collected on the way: what a stream, and encryption most of all, leaves behind lies outside of the heap, of
 * which V8 lets 64 MB lie before it looks. Most of it is no older than a chunk.
 */
export async function* withoutGarbage(source: Readable): AsyncGenerator<Uint8Array> {
  let [young, all] = [0, bytesToAll];
  for await (const chunk of source) {
    yield chunk as Uint8Array;
    const { length } = chunk as Uint8Array;
    young += length;
    all += length;
    if (all >= bytesToAll) {
      collect();
      [young, all] = [0, 0];
    } else if (young >= bytesToYoung) {
      collect({ type: "minor" });
      young = 0;
    }
  }
}
