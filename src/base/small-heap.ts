import { setFlagsFromString } from "node:v8";

/**
 * Keeps the part of the heap where objects begin as small as it is at the time of the call; V8 lets it grow to 48 MB by itself. For
 * commands that pass on streams whatever their length: little of what they make lives on, so a larger one would spare them nothing.
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
