/** Facts of a log line. Never a URL, a configuration or a connection: these hold passwords. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What modules log with; who builds the real one decides on format and place (stderr, never stdout). */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger that puts these fields on each of its lines. */
  child(fields: LogFields): Logger;
}

/** For tests and for commands that print their own report. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
