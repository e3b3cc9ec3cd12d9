import { describe, expect, it } from "vitest";
import { type ConnectionTarget, databaseAddress, parseNodeUrl, redactUrl } from "../../src/config/url.ts";

const env = { USER: "ann" };
const parse = (url: string) => parseNodeUrl(url, env);

function summary({ host, port, database, user, password, ssl, channelBinding }: ConnectionTarget) {
  return { host, port, database, user, password, mode: ssl.mode, channelBinding };
}

const standard = { port: 5432, mode: "prefer", channelBinding: "prefer" };

describe("URLs as pasted", () => {
  it.each([
    [
      "Neon",
      "postgresql://neondb_owner:npg_Ab1@ep-cool-dew-a1b2-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
      {
        ...standard,
        host: "ep-cool-dew-a1b2-pooler.eu-central-1.aws.neon.tech",
        database: "neondb",
        user: "neondb_owner",
        password: "npg_Ab1",
        mode: "require",
        channelBinding: "require",
      },
      true,
    ],
    [
      "Supabase, transaction pooler",
      "postgres://postgres.abcdef:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
      {
        ...standard,
        host: "aws-0-eu-central-1.pooler.supabase.com",
        port: 6543,
        database: "postgres",
        user: "postgres.abcdef",
        password: "pw",
      },
      true,
    ],
    [
      "Supabase, session pooler",
      "postgresql://postgres.abcdef:pw@aws-0-eu-central-1.pooler.supabase.com:5432/postgres?supa=base-pooler.x&pool_timeout=3",
      {
        ...standard,
        host: "aws-0-eu-central-1.pooler.supabase.com",
        database: "postgres",
        user: "postgres.abcdef",
        password: "pw",
      },
      false,
    ],
    [
      "RDS",
      "postgresql://app:a%2Fb%40c@db.x1y2.eu-west-1.rds.amazonaws.com:5432/shop?sslmode=verify-full&sslrootcert=/etc/rds.pem&schema=public",
      {
        ...standard,
        host: "db.x1y2.eu-west-1.rds.amazonaws.com",
        database: "shop",
        user: "app",
        password: "a/b@c",
        mode: "verify-full",
      },
      false,
    ],
    [
      "Render",
      "postgres://shop_user:pw@dpg-abc-a.frankfurt-postgres.render.com/shop",
      {
        ...standard,
        host: "dpg-abc-a.frankfurt-postgres.render.com",
        database: "shop",
        user: "shop_user",
        password: "pw",
      },
      false,
    ],
  ])("%s", (_, url, expected, pooled) => {
    const target = parse(url);
    expect(summary(target)).toEqual(expected);
    expect(target.pooled).toBe(pooled);
  });
});

describe("the syntax of libpq", () => {
  it.each([
    ["postgresql://h", { host: "h", database: "ann", user: "ann", password: null }],
    ["postgresql://bob@h", { host: "h", database: "bob", user: "bob", password: null }],
    ["POSTGRES://h:6000/db", { host: "h", port: 6000, database: "db", user: "ann", password: null }],
    ["postgresql://[::1]:6000/db", { host: "::1", port: 6000, database: "db", user: "ann", password: null }],
    ["postgresql:///db?host=/tmp&port=5433", { host: "/tmp", port: 5433, database: "db", user: "ann", password: null }],
    ["postgresql://%2Fvar%2Frun/db", { host: "/var/run", database: "db", user: "ann", password: null }],
    ["postgresql://u:p%25%20%23@h/d%20b", { host: "h", database: "d b", user: "u", password: "p% #" }],
    ["postgresql://u:p#1@h/db", { host: "h", database: "db", user: "u", password: "p#1" }],
    ["postgresql://u:a:b@h/db", { host: "h", database: "db", user: "u", password: "a:b" }],
    ["postgresql://u@h/db?password=a+b&user=v", { host: "h", database: "db", user: "v", password: "a+b" }],
    ["  postgresql://h/db\n", { host: "h", database: "db", user: "ann", password: null }],
  ])("%s", (url, expected) => {
    expect(summary(parse(url))).toEqual({ ...standard, ...expected });
  });

  it("carries options, timeouts and names", () => {
    const target = parse(
      "postgresql://h/db?options=endpoint%3Dep-x&connect_timeout=5&application_name=shop&hostaddr=10.0.0.1",
    );
    expect(target).toMatchObject({ options: "endpoint=ep-x", connectTimeoutMs: 5000, applicationName: "shop" });
    expect(target).toMatchObject({ host: "h", hostAddress: "10.0.0.1" });
    expect(parse("postgresql://h/db?connect_timeout=0").connectTimeoutMs).toBe(0);
    expect(parse("postgresql://h/db").connectTimeoutMs).toBeNull();
  });

  it("reads the parameters of TLS", () => {
    expect(parse("postgresql://h/db?sslrootcert=/x.pem").ssl.rootCert).toEqual({ path: "/x.pem", required: true });
    expect(parse("postgresql://h/db").ssl.rootCert).toMatchObject({ required: false });
    expect(parse("postgresql://h/db?sslrootcert=system").ssl).toMatchObject({
      rootCert: "system",
      mode: "verify-full",
    });
    expect(parse("postgresql://h/db?ssl=true").ssl.mode).toBe("require");
    const direct = parse("postgresql://h/db?sslmode=require&sslnegotiation=direct&ssl_min_protocol_version=TLSv1.3");
    expect(direct.ssl).toMatchObject({ negotiation: "direct", minVersion: "TLSv1.3" });
  });
});

describe("refused, without a word of the password", () => {
  it.each([
    ["mysql://u:s3cret@h/db", /not a PostgreSQL URL/],
    ["s3cret", /not a PostgreSQL URL/],
    ["postgresql://u:s3cr@t@h/db", /@ is %40/],
    ["postgresql://u:s3cr/t@h/db", /%2F/],
    ["postgresql://u:s3cr?t@h/db", /%3F/],
    ["postgresql://u:s3cr%t@h/db", /password of the URL has a %/],
    ["postgresql://u:s3cret@h:port/db", /port/],
    ["postgresql://u:s3cret@h:99999/db", /port/],
    ["postgresql://u:s3cret@h1,h2/db", /several hosts/],
    ["postgresql://u:s3cret@h/db?sslmode=verify_full", /did you mean "verify-full"/],
    ["postgresql://u:s3cret@h/db?sslmode=no-verify", /sslmode=require/],
    ["postgresql://u:s3cret@h/db?sslmod=require", /did you mean "sslmode"/],
    ["postgresql://u:s3cret@h/db?channel_bindng=require", /did you mean "channel_binding"/],
    ["postgresql://u:s3cret@h/db?sslrootcert=system&sslmode=require", /verify-full/],
    ["postgresql://u:s3cret@h/db?sslnegotiation=direct", /sslmode=require/],
    ["postgresql://u:s3cret@h/db?require_auth=scram-sha-256", /require_auth/],
    ["postgresql://u:s3cret@h/db?connect_timeout=soon", /seconds/],
    ["postgresql://u:s3cret@h/db?sslmode", /no value/],
  ])("%s", (url, message) => {
    let text = "";
    try {
      parse(url);
    } catch (error) {
      text = (error as Error).message;
    }
    expect(text).toMatch(message);
    expect(text).not.toMatch(/s3cr/);
  });
});

it("databaseAddress is equal for a database and its pooler", () => {
  const address = (url: string) => databaseAddress(parse(url));
  expect(address("postgresql://a:1@EP-x-pooler.neon.tech/db")).toBe(
    address("postgres://b@ep-x.neon.tech:5432/db?sslmode=require"),
  );
  expect(address("postgresql://h/db")).not.toBe(address("postgresql://h/db2"));
});

it("redactUrl hides passwords wherever they are", () => {
  expect(redactUrl("a postgres://u:p@q@h/db?password=x&y=z b")).toBe("a postgres://u:***@h/db?password=***&y=z b");
  expect(redactUrl("postgres://u@h/db")).toBe("postgres://u@h/db");
});
