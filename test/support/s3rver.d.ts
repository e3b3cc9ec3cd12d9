declare module "s3rver" {
  /** A server of the S3 protocol; the part of it that tests use. */
  export default class S3rver {
    constructor(options: Readonly<Record<string, unknown>>);
    run(): Promise<{ address: string; port: number }>;
    close(): Promise<void>;
  }
}
