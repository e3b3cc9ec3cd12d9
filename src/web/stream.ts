import type { Api } from "./api.ts";

/** What is told of the stream. */
export interface StreamListener {
  onOpen(): void;
  onEvent(event: string, data: unknown): void;
  onClosed(error: unknown): void;
  /** Ends after so many milliseconds, or as soon as it is worth a try. */
  pause(ms: number): Promise<void>;
}

const longestPauseMs = 8_000;
// The sidecar sends at least a breath every 15 s; a connection that is silent for longer is dead.
const silenceMs = 40_000;

/**
 * Listens to /api/events for ever, and begins anew when it breaks. By fetch, for an EventSource cannot carry the token. Ends
 * when the signal is aborted.
 */
export async function listen(api: Api, listener: StreamListener, signal: AbortSignal): Promise<void> {
  let pause = 500;
  while (!signal.aborted) {
    try {
      await readOnce(api, signal, (event, data) => {
        pause = 500;
        if (event === "") listener.onOpen();
        else listener.onEvent(event, data);
      });
      listener.onClosed(null);
    } catch (error) {
      if (!signal.aborted) listener.onClosed(error);
    }
    await listener.pause(pause);
    pause = Math.min(pause * 2, longestPauseMs);
  }
}

async function readOnce(api: Api, signal: AbortSignal, tell: (event: string, data: unknown) => void): Promise<void> {
  const ended = new AbortController();
  const abort = () => ended.abort();
  signal.addEventListener("abort", abort);
  let watch = setTimeout(abort, silenceMs);
  try {
    const response = await api.send("/api/events", { signal: ended.signal });
    tell("", null);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watch);
      watch = setTimeout(abort, silenceMs);
      const blocks = (text + value).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = /^event: (.*)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (event !== undefined && data !== undefined) tell(event, JSON.parse(data));
      }
    }
  } finally {
    clearTimeout(watch);
    signal.removeEventListener("abort", abort);
  }
}
