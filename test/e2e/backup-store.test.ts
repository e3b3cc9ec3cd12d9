import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, expect, test, vi } from "vitest";
import type { Store } from "../../src/backup/store.ts";
import { S3Store } from "../../src/backup/store-s3.ts";
import { tempFolder } from "../support/child.ts";
import type { S3Fault, S3Request } from "../support/s3-server.ts";
import { openFor, s3Config, s3Server, source, stores } from "../support/stores.ts";

vi.setConfig({ testTimeout: 120_000 });

const mib = 2 ** 20;
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const put = (store: Store, key: string, bytes: Buffer) => store.put(key, source(bytes), { bytes: bytes.length });
const read = async (store: Store, key: string) => {
  const body = await store.get(key);
  return body && (await buffer(body));
};
const keys = async (store: Store, prefix = "") => (await store.list(prefix)).map(({ key }) => key);

describe.each(Object.entries(stores))("a store: %s", (_, make) => {
  test("gives back what it was given, of every size and under every name; says when there is nothing", async () => {
    const store = await openFor(await make());
    const sizes = [0, 1, 65_536, 5 * mib - 1, 5 * mib, 5 * mib + 1, 20 * mib + 7];
    for (const size of sizes) {
      const bytes = randomBytes(size);
      expect(await put(store, `a/${size}`, bytes)).toEqual({ bytes: size, sha256: sha256(bytes) });
      expect((await read(store, `a/${size}`))?.equals(bytes)).toBe(true);
    }
    const names = [`b/Odd "schema", with. dots/T${"ä"}ble%2E\\%&+?#<>'.gz`, "b/a b.json", "b/x=1;y~!@$()*,:[]^{|}"];
    for (const name of names) await put(store, name, Buffer.from(name));
    for (const name of names) expect((await read(store, name))?.toString()).toBe(name);
    expect(await keys(store, "b/")).toEqual(names.toSorted());
    expect(await store.get("a/none")).toBeNull();
    expect(await store.get("none/at/all")).toBeNull();
  });

  test("lists all of a prefix and nothing else, in order, with sizes and times", async () => {
    const store = await openFor(await make());
    expect(await store.list("")).toEqual([]);
    const before = Date.now() - 60_000;
    for (const key of ["2/b", "1/z/y", "1/a", "10/a", "1/b"]) await put(store, key, Buffer.from(key));
    expect(await keys(store)).toEqual(["1/a", "1/b", "1/z/y", "10/a", "2/b"]);
    expect(await keys(store, "1")).toEqual(["1/a", "1/b", "1/z/y", "10/a"]);
    expect(await keys(store, "1/")).toEqual(["1/a", "1/b", "1/z/y"]);
    for (const { key, bytes, modifiedAt } of await store.list("")) {
      expect(bytes).toBe(key.length);
      expect(modifiedAt).toBeGreaterThan(before);
    }
  });

  test("replaces and removes; what is not there is no error", async () => {
    const store = await openFor(await make());
    await put(store, "1/a", Buffer.from("old"));
    await put(store, "1/a", Buffer.from("newer"));
    expect((await read(store, "1/a"))?.toString()).toBe("newer");
    await put(store, "1/b/c", Buffer.from("c"));
    await store.remove(["1/a", "1/none", "1/b/c", "1/a"]);
    expect(await keys(store)).toEqual([]);
    expect(await store.get("1/a")).toBeNull();
  });

  test("B1 an upload whose source breaks off, or that is stopped, leaves the key as it was", async () => {
    const store = await openFor(await make());
    await put(store, "1/a", Buffer.from("old"));
    const broken = () =>
      Readable.from(
        (function* () {
          for (let n = 0; n < 20; n++) yield Buffer.alloc(mib, n);
          throw new Error("the disk gave up");
        })(),
      );
    await expect(store.put("1/a", broken, { bytes: 30 * mib })).rejects.toMatchObject({ code: "store_failed" });
    const stop = new AbortController();
    const stopped = () =>
      Readable.from(
        (async function* () {
          for (let n = 0; n < 20; n++) {
            if (n === 10) stop.abort();
            yield Buffer.alloc(mib, n);
          }
        })(),
      );
    const stopping = store.put("1/a", stopped, { bytes: 30 * mib, signal: stop.signal });
    await expect(stopping).rejects.toMatchObject({ code: "stopped" });
    expect((await read(store, "1/a"))?.toString()).toBe("old");
    expect(await keys(store)).toEqual(["1/a"]);
  });

  test("sweeping where nothing broke harms nothing", async () => {
    const store = await openFor(await make());
    await put(store, "1/a", Buffer.alloc(9 * mib));
    expect(await store.sweep("", Date.now() + 60_000)).toBe(0);
    expect(await keys(store)).toEqual(["1/a"]);
  });
});

test("a folder that is not there is not made: the disk may not be mounted", async () => {
  const path = join(await tempFolder(), "mnt");
  const store = await openFor({ kind: "folder", path });
  await expect(put(store, "1/a", Buffer.from("a"))).rejects.toMatchObject({ code: "store_refused" });
  await expect(store.list("")).rejects.toMatchObject({ code: "store_refused" });
  await mkdir(path);
  await put(store, "1/a", Buffer.from("a"));
  await rm(path, { recursive: true });
  await expect(store.get("1/a")).rejects.toMatchObject({
    code: "store_refused",
    message: expect.stringContaining(path),
  });
});

test("a folder sweeps what a killed process has left, of the prefix and the age that are meant", async () => {
  const path = join(await tempFolder(), "mnt");
  await mkdir(join(path, ".partial"), { recursive: true });
  const store = await openFor({ kind: "folder", path });
  await put(store, "other/x", Buffer.from("x"));
  const { writeFile, utimes } = await import("node:fs/promises");
  for (const name of ["one.1-2", "one.3-4", "two.5-6"]) await writeFile(join(path, ".partial", name), "half");
  await utimes(join(path, ".partial", "one.3-4"), 1, 1);
  expect(await keys(store)).toEqual(["other/x"]);
  expect(await store.sweep("one/", 100_000)).toBe(1);
  expect(await readdir(join(path, ".partial"))).toEqual(["one.1-2", "two.5-6"]);
  expect(await store.sweep("one/", Number.POSITIVE_INFINITY)).toBe(1);
  expect(await store.sweep("", Number.POSITIVE_INFINITY)).toBe(1);
  expect(await keys(store)).toEqual(["other/x"]);
});

/** A bucket whose server fails as it is told; where it falls silent, the store has the patience of a few seconds. */
async function faulty(fault: S3Fault, meant: (request: S3Request) => boolean, times?: number) {
  const server = await s3Server();
  const store = new S3Store(s3Config(server.endpoint), fault.startsWith("silent") ? { silentMs: 3_000 } : {});
  server.fail(fault, meant, times);
  return { server, store };
}

const big = randomBytes(20 * mib);

describe("faults of a bucket", () => {
  test.each<[S3Fault, string, number | null]>([
    ["cut", "UploadPart", 3],
    ["cut", "PutObject", null],
    ["busy", "UploadPart", 2],
    ["busy", "PutObject", null],
    ["busy", "CompleteMultipartUpload", null],
    ["silent", "UploadPart", 1],
    ["lost answer", "UploadPart", 2],
    ["lost answer", "PutObject", null],
    ["lost answer", "CompleteMultipartUpload", null],
    ["lost answer", "CreateMultipartUpload", null],
    ["wrong etag", "HeadObject", null],
  ])("thing 25, 26: %s once, in %s %s: what is stored is right all the same, once", async (fault, op, part) => {
    const { server, store } = await faulty(fault, (one) => one.op === op && (part === null || one.part === part), 1);
    const bytes = op === "PutObject" ? big.subarray(0, mib) : big;
    expect(await put(store, "1/a", bytes)).toEqual({ bytes: bytes.length, sha256: sha256(bytes) });
    expect([...server.objects.keys()]).toEqual(["shop/1/a"]);
    expect(server.objects.get("shop/1/a")?.body.equals(bytes)).toBe(true);
    await store.sweep("1/", Number.POSITIVE_INFINITY);
    expect(server.uploads.size).toBe(0);
    store.close();
  });

  test.each<[S3Fault, string, string]>([
    ["cut", "UploadPart", "store_failed"],
    ["busy", "CompleteMultipartUpload", "store_failed"],
    ["silent", "PutObject", "store_failed"],
    ["forbidden", "PutObject", "store_refused"],
    ["forbidden", "CreateMultipartUpload", "store_refused"],
    ["wrong content", "PutObject", "store_failed"],
    ["wrong content", "UploadPart", "store_failed"],
  ])(
    "%s always, in %s: the upload fails as %s, nothing is left that looks like the object",
    async (fault, op, code) => {
      const { server, store } = await faulty(fault, (one) => one.op === op);
      const bytes = op === "PutObject" ? big.subarray(0, mib) : big;
      await expect(put(store, "1/a", bytes)).rejects.toMatchObject({ code });
      expect([...server.objects.keys()]).toEqual([]);
      server.mend();
      await store.sweep("1/", Number.POSITIVE_INFINITY);
      expect(server.uploads.size).toBe(0);
      expect(await put(store, "1/a", bytes)).toMatchObject({ bytes: bytes.length });
      store.close();
    },
  );

  test("what is read is cut, stops in its middle, or is never answered: an error, never a shorter file", async () => {
    for (const fault of ["cut answer", "silent answer", "silent"] as const) {
      const { store } = await faulty(fault, ({ op }) => op === "GetObject");
      await put(store, "1/a", big);
      await expect(read(store, "1/a")).rejects.toThrow();
      store.close();
    }
  });

  test("a slow service is waited for", async () => {
    const { server, store } = await faulty("busy", () => false);
    server.delayMs = 300;
    await put(store, "1/a", big);
    expect((await read(store, "1/a"))?.equals(big)).toBe(true);
    store.close();
  });

  test("sweeps broken uploads of its own prefix, and of the age that is meant", async () => {
    const { server, store } = await faulty("busy", ({ op }) => ["UploadPart", "AbortMultipartUpload"].includes(op));
    server.ageMs = -7_200_000;
    await expect(put(store, "1/old", big)).rejects.toMatchObject({ code: "store_failed" });
    server.ageMs = 0;
    await expect(put(store, "2/young", big)).rejects.toMatchObject({ code: "store_failed" });
    server.mend();
    server.uploads.set("foreign", { key: "others/x", at: 0, parts: new Map() });
    expect(server.uploads.size).toBe(3);
    expect(await store.sweep("", Date.now() - 3_600_000)).toBe(1);
    expect([...server.uploads.values()].map(({ key }) => key)).toEqual(["shop/2/young", "others/x"]);
    expect(await store.sweep("2/", Number.POSITIVE_INFINITY)).toBe(1);
    expect([...server.uploads.keys()]).toEqual(["foreign"]);
    store.close();
  });

  test("checksums of the newer kind go out only where they were asked for", async () => {
    const server = await s3Server();
    const sums = async (checksums: "when_supported" | "when_required") => {
      const store = await openFor(s3Config(server.endpoint, { checksums }));
      server.requests.length = 0;
      await put(store, "1/a", big);
      return server.requests.some(({ headers }) =>
        Object.keys(headers).some((name) => name.startsWith("x-amz-checksum-")),
      );
    };
    expect(await sums("when_supported")).toBe(true);
    expect(await sums("when_required")).toBe(false);
  });

  test("errors name the store and say what is wrong, without the key", async () => {
    const server = await s3Server();
    const of = async (changes: Parameters<typeof s3Config>[1]) =>
      (await openFor(s3Config(server.endpoint, changes))).list("").catch((error: Error) => error.message);
    expect(await of({ bucket: "none" })).toContain("store s3://none/shop/: NoSuchBucket");
    expect(await of({ endpoint: "http://127.0.0.1:1" })).toContain("nobody answers there");
  });
});
