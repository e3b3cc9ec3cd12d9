import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/** A COPY into a server counts its rows. */
interface CountedWritable extends Writable {
  readonly rowCount?: number;
}

/**
 * Carries a COPY from one server to the other as bytes; returns how many rows the receiver took. When the receiver
 * fails, the sender is read to its end all the same: a COPY that is abandoned breaks its connection, and with it the
 * snapshot of the batch. Memory is bounded by the streams' own buffers.
 */
export async function carry(from: Readable, to: CountedWritable): Promise<number> {
  let failure: unknown;
  const over = new Promise<void>((resolve) => {
    to.once("finish", resolve);
    to.once("error", (error) => {
      failure ??= error;
      resolve();
    });
  });
  // Also while the receiver is waited for: the loop below sees the sender's failure only when it asks for more.
  const lost = new Promise<void>((resolve) => {
    from.once("error", () => resolve());
  });
  try {
    for await (const chunk of from) {
      if (failure === undefined && !to.write(chunk)) {
        await Promise.race([once(to, "drain").catch(() => {}), over, lost]);
      }
    }
  } catch (error) {
    failure ??= error;
    to.destroy(error instanceof Error ? error : new Error(String(error)));
  }
  if (failure === undefined) to.end();
  await over;
  if (failure !== undefined) throw failure;
  return to.rowCount ?? 0;
}
