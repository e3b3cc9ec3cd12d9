import { type CopyStreamQuery, type CopyToStreamQuery, from, to } from "pg-copy-streams";

/** How the driver reports a failed statement, which the types of pg-copy-streams do not show. */
interface Failing {
  handleError(error: Error): void;
}

// A connection may be lost before anybody reads: without a listener that ends the process. The stream keeps its error for its reader.
const ignore = () => {};

/** What a connection does for the streams that use it. */
export interface CopyOutHooks {
  readonly wrap: (error: Error) => Error;
  /** Called when the reader goes away before the end. */
  readonly abandoned: () => void;
}

/** A readable COPY. */
export function copyOutStream(sql: string, { wrap, abandoned }: CopyOutHooks): CopyToStreamQuery {
  const stream = to(sql);
  stream.on("error", ignore);
  let over = false;
  stream.once("end", () => {
    over = true;
  });
  // The library's own way throws its buffer away and goes on to fill it with what the socket has still got.
  (stream as unknown as Failing).handleError = (error) => {
    over = true;
    stream.destroy(wrap(error));
  };
  stream.once("close", () => {
    if (!over) abandoned();
  });
  return stream;
}

/** What a connection is told by the streams that fill a table. */
export interface CopyInHooks {
  readonly wrap: (error: Error) => Error;
  /** All is said, or it is given up, and the server's answer is awaited. Once. */
  readonly ended: () => void;
}

/** A writable COPY. */
export function copyInStream(sql: string, { wrap, ended }: CopyInHooks): CopyStreamQuery {
  const stream = from(sql);
  stream.on("error", ignore);
  const failing = stream as unknown as Failing;
  const finishDestroying = failing.handleError.bind(stream);
  const destroy = stream.destroy.bind(stream);
  failing.handleError = (error) => {
    if (stream.destroyed) return finishDestroying(wrap(error));
    // The library's own way would tell the server that the COPY has failed, on a connection that it has let go of.
    stream._destroy = (cause, done) => done(cause);
    destroy(wrap(error));
  };
  let told = false;
  for (const method of ["end", "destroy"] as const) {
    const original = stream[method].bind(stream) as (...given: unknown[]) => CopyStreamQuery;
    stream[method] = (...given: unknown[]) => {
      if (!told) ended();
      told = true;
      return original(...given);
    };
  }
  return stream;
}
