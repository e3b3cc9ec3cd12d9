import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorLine, TandemError } from "../../src/base/errors.ts";
import { connect } from "../../src/db/connect.ts";
import type { Encryption } from "../../src/db/connection.ts";
import { type EmbeddedServer, startServer } from "../../src/embedded/server.ts";
import { selfSigned } from "./tls-certificate.ts";

const password = "p@ss/w?rd#é%";
const secret = encodeURIComponent(password);
const hba = [
  "hostssl   all tls_only   all scram-sha-256",
  "host      all tls_only   all reject",
  "hostnossl all plain_only all scram-sha-256",
  "host      all plain_only all reject",
  "host      all md5_user   all md5",
  "host      all trusted    all trust",
];

let plain: EmbeddedServer;
let tls: EmbeddedServer;
let folder: string;
let right: string;
let wrong: string;

async function prepare(server: EmbeddedServer): Promise<void> {
  await using admin = await connect({ name: "admin", url: server.url() }, "test");
  for (const role of ["app", "tls_only", "plain_only", "trusted"]) {
    await admin.exec(`create role ${role} login password '${password}'`);
  }
  await admin.exec(`set password_encryption = 'md5'; create role md5_user login password '${password}'`);
}

beforeAll(async () => {
  const certificate = selfSigned("localhost");
  folder = await mkdtemp(join(tmpdir(), "tandem-tls-"));
  right = join(folder, "right.crt");
  wrong = join(folder, "wrong.crt");
  await writeFile(right, certificate.cert);
  await writeFile(wrong, selfSigned("localhost").cert);
  plain = await startServer({ hba });
  tls = await startServer({ hba, tls: certificate });
  await prepare(plain);
  await prepare(tls);
}, 120_000);

afterAll(async () => {
  await plain?.stop();
  await tls?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Way {
  readonly role?: string;
  readonly host?: string;
  readonly secret?: string;
  readonly database?: string;
}

function urlOf(server: EmbeddedServer, query: string, way: Way = {}): string {
  const { role = "app", host = "localhost", database = "postgres" } = way;
  return `postgresql://${role}:${way.secret ?? secret}@${host}:${server.port}/${database}?${query}`;
}

async function encryptionOf(url: string): Promise<Encryption | null> {
  await using connection = await connect({ name: "local", url }, "test");
  const [row] = await connection.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
  // What we believe must be what the server sees.
  expect(row?.ssl).toBe(connection.encryption ? "t" : "f");
  return connection.encryption;
}

async function failureOf(url: string): Promise<TandemError> {
  const error = await encryptionOf(url).then(
    () => new Error("it connected"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof TandemError)) throw error;
  for (const text of [errorLine(error), JSON.stringify(error), error.stack ?? ""]) {
    expect(text).not.toContain(password);
    expect(text).not.toContain(secret);
  }
  expect(errorLine(error)).toMatch(/^[a-z_]+: node local \(.*\): .*\. Remedy: .*$/);
  return error;
}

describe("sslmode has the meaning of libpq", () => {
  const withTls = { disable: null, allow: null, prefer: "no", require: "no" } as const;

  it.each(Object.entries(withTls))("%s, the server speaks TLS", async (mode, verified) => {
    const encryption = await encryptionOf(urlOf(tls, `sslmode=${mode}`));
    expect(encryption?.verified ?? null).toBe(verified);
  });

  it("no sslmode means prefer", async () => {
    expect((await encryptionOf(urlOf(tls, "")))?.protocol).toMatch(/^TLS/);
    expect(await encryptionOf(urlOf(plain, ""))).toBeNull();
  });

  it.each(["disable", "allow", "prefer"])("%s, the server speaks no TLS", async (mode) => {
    expect(await encryptionOf(urlOf(plain, `sslmode=${mode}`))).toBeNull();
  });

  it.each(["require", "verify-ca", "verify-full"])("%s refuses a server without TLS", async (mode) => {
    expect((await failureOf(urlOf(plain, `sslmode=${mode}&sslrootcert=${right}`))).code).toBe("tls_failed");
  });

  it("allow goes over to TLS where the server insists, prefer goes back where it refuses", async () => {
    expect(await encryptionOf(urlOf(tls, "sslmode=allow", { role: "tls_only" }))).not.toBeNull();
    expect(await encryptionOf(urlOf(tls, "sslmode=prefer", { role: "plain_only" }))).toBeNull();
  });

  it("disable and require do not change the way", async () => {
    const disabled = await failureOf(urlOf(tls, "sslmode=disable", { role: "tls_only" }));
    expect(disabled.code).toBe("wrong_password");
    expect(disabled.hint).toContain("sslmode");
    expect((await failureOf(urlOf(tls, "sslmode=require", { role: "plain_only" }))).code).toBe("wrong_password");
  });
});

describe("sslrootcert", () => {
  it.each(["require", "verify-ca"])("%s checks the chain, and not the name", async (mode) => {
    const query = `sslmode=${mode}&sslrootcert=${right}`;
    expect((await encryptionOf(urlOf(tls, query, { host: "127.0.0.1" })))?.verified).toBe("ca");
  });

  it("verify-full checks the name too", async () => {
    const query = `sslmode=verify-full&sslrootcert=${right}`;
    expect((await encryptionOf(urlOf(tls, query)))?.verified).toBe("full");
    expect((await encryptionOf(urlOf(tls, `${query}&hostaddr=127.0.0.1`)))?.verified).toBe("full");
    expect((await failureOf(urlOf(tls, query, { host: "127.0.0.1" }))).code).toBe("tls_failed");
  });

  it.each(["require", "verify-ca", "verify-full"])("%s refuses a chain of another root", async (mode) => {
    expect((await failureOf(urlOf(tls, `sslmode=${mode}&sslrootcert=${wrong}`))).code).toBe("tls_failed");
  });

  it.each(["sslmode=verify-ca", "sslmode=verify-full", "sslrootcert=system"])(
    "%s refuses a self-signed certificate without a root of its own",
    async (query) => {
      expect((await failureOf(urlOf(tls, query))).code).toBe("tls_failed");
    },
  );

  it("prefer falls back to plain when the chain is wrong, as libpq", async () => {
    expect(await encryptionOf(urlOf(tls, `sslmode=prefer&sslrootcert=${wrong}`))).toBeNull();
  });

  it("a file that is named and missing is an error in every mode", async () => {
    const missing = join(folder, "missing.crt");
    const error = await failureOf(urlOf(tls, `sslmode=require&sslrootcert=${missing}`));
    expect(error.code).toBe("tls_failed");
    expect(error.message).toContain(missing);
  });
});

describe("channel_binding", () => {
  it("is used when both sides can", async () => {
    expect((await encryptionOf(urlOf(tls, "sslmode=require")))?.channelBinding).toBe(true);
    expect((await encryptionOf(urlOf(tls, "sslmode=require&channel_binding=require")))?.channelBinding).toBe(true);
    expect((await encryptionOf(urlOf(tls, "sslmode=require&channel_binding=disable")))?.channelBinding).toBe(false);
  });

  it("require refuses a connection without TLS", async () => {
    for (const server of [plain, tls]) {
      const error = await failureOf(urlOf(server, "sslmode=disable&channel_binding=require"));
      expect(error.code).toBe("tls_failed");
      expect(error.message).toContain("channel_binding");
    }
  });

  it.each(["md5_user", "trusted"])("require refuses a login that is not bound: %s", async (role) => {
    const error = await failureOf(urlOf(tls, "sslmode=require&channel_binding=require", { role }));
    expect(error.code).toBe("tls_failed");
    expect(await encryptionOf(urlOf(tls, "sslmode=require", { role }))).toMatchObject({ channelBinding: false });
  });
});

describe("what bad input gets", () => {
  it.each(["prefer", "disable", "require"])("a wrong password with sslmode=%s", async (mode) => {
    const error = await failureOf(urlOf(tls, `sslmode=${mode}`, { secret: "wr0ng-secret" }));
    expect(error.code).toBe("wrong_password");
    expect(errorLine(error)).not.toContain("wr0ng-secret");
  });

  it("no password", async () => {
    const error = await failureOf(`postgresql://app@localhost:${tls.port}/postgres`);
    expect(error.code).toBe("wrong_password");
    expect(error.hint).toContain("no password");
  });

  it("no such role: the answer to the login is told, not the one of the other way", async () => {
    const error = await failureOf(urlOf(tls, "", { role: "nobody_here" }));
    expect(error.code).toBe("wrong_password");
    expect(error.message).toContain("nobody_here");
  });

  it("no such database", async () => {
    expect((await failureOf(urlOf(tls, "", { database: "nowhere" }))).code).toBe("database_missing");
  });

  it("nobody listens, and no such host", async () => {
    // Of a free one somebody else may be given the number meanwhile.
    const port = 1;
    const error = await failureOf(`postgresql://app:${secret}@localhost:${port}/postgres`);
    expect(error.code).toBe("cannot_connect");
    expect(error.message).toContain(`localhost:${port}`);
    expect((await failureOf(`postgresql://app:${secret}@no-such-host.invalid/postgres`)).code).toBe("cannot_connect");
  });

  it("a URL that cannot be read", async () => {
    expect(await connect({ name: "local", url: "mysql://u:hidden-pass@h/db" }, "test").catch(errorLine)).toMatch(
      /^config_invalid: node local: not a PostgreSQL URL/,
    );
  });
});
