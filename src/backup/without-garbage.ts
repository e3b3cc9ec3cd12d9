import type { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** So many bytes pass between two collections, each of some 20 ms. */
const bytesBetween = 8 * 2 ** 20;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/**
 * Passes a stream on and has garbage collected on the way: what encryption leaves behind lies outside of the heap, of which V8 lets
 * 64 MB lie before it looks.
 */
export async function* withoutGarbage(source: Readable): AsyncGenerator<Uint8Array> {
  let passed = bytesBetween;
  for await (const chunk of source) {
    yield chunk as Uint8Array;
    passed += (chunk as Uint8Array).length;
    if (passed < bytesBetween) continue;
    passed = 0;
    collect();
  }
}
