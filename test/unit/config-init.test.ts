import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isCronSchedule } from "../../src/config/cron.ts";
import { parseDuration } from "../../src/config/duration.ts";
import { findEnvironment, renderInitialConfig } from "../../src/config/init.ts";
import { matchesTable, ruleFor } from "../../src/config/table-pattern.ts";
import { both, ConfigFolder, external, local } from "./config-support.ts";

const folder = new ConfigFolder();

describe("tandem init", () => {
  it("writes a file that loads, with names of variables and no URL", async () => {
    await writeFile(
      join(folder.path, ".env"),
      `DATABASE_URL=${local}\nOFFICE_DATABASE_URL=postgres://x:s3cret@y/z\nOTHER=1\n`,
    );
    const found = await findEnvironment({ cwd: folder.path, env: { EXTERNAL_DB_URL: external } });
    expect(found.variables).toEqual([
      { name: "DATABASE_URL", from: ".env" },
      { name: "EXTERNAL_DB_URL", from: "environment" },
      { name: "OFFICE_DATABASE_URL", from: ".env" },
    ]);
    const text = renderInitialConfig(found);
    expect(text).not.toContain("s3cret");
    expect(text).toContain(`# office: { url: "\${OFFICE_DATABASE_URL}" }`);
    const config = await folder.load(text);
    expect(config.nodes.map(({ name }) => name)).toEqual(["local", "external"]);
    const uncommented = text.replaceAll(
      /^( *)# (?=(exclude|verify|http|backup|alerts|tables|links|seed|sequences):| +)/gm,
      "$1",
    );
    const urls = {
      SLACK_WEBHOOK_URL: "https://h.example/x",
      SMTP_URL: "smtp://h.example",
      PING_URL: "https://h.example/y",
    };
    const whole = await folder.load(uncommented, { env: { ...both, ...urls, TANDEM_TOKEN: "0123456789abcdef" } });
    expect(whole.backup.jobs).toHaveLength(1);
    expect(whole.alerts.targets.map(({ kind }) => kind)).toEqual(["slack", "email", "ping"]);
  });

  it("says what is missing when there is nothing", () => {
    expect(renderInitialConfig({ variables: [] })).toContain("not set yet: write it into .env.sync");
  });
});

it("parseDuration", () => {
  expect(["500ms", "1s", "1.5s", "5m", "1h", "7d"].map(parseDuration)).toEqual([
    500, 1000, 1500, 300_000, 3_600_000, 604_800_000,
  ]);
  for (const bad of ["", "5", "1 week", "-1s", "s"]) expect(() => parseDuration(bad)).toThrow(/unit/);
});

it("isCronSchedule", () => {
  for (const good of ["* * * * *", "*/5 0-3,7 1 jan-mar MON", "0 3 * * 7"]) expect(isCronSchedule(good)).toBe(true);
  for (const bad of ["* * * *", "60 * * * *", "*/0 * * * *", "a * * * *", "* * 0 * *", "1-2-3 * * * *"]) {
    expect(isCronSchedule(bad)).toBe(false);
  }
});

it("patterns of tables", () => {
  expect(matchesTable("public.*", "public", "Perfis")).toBe(true);
  expect(matchesTable("public.perfis", "public", "Perfis")).toBe(false);
  expect(matchesTable("*.log_*", "a", "log_x")).toBe(true);
  expect(matchesTable("public.a.b", "public", "a.b")).toBe(false);
  expect(matchesTable('public."a.b"', "public", "a.b")).toBe(true);
  expect(matchesTable('public."*"', "public", "x")).toBe(false);
  const rules = ["public.*", "public.a", "*.*"].map((name) => ({ name, conflict: "newest" as const, updatedAt: null }));
  expect(ruleFor(rules, "public", "a")?.name).toBe("public.a");
  expect(ruleFor(rules, "public", "b")?.name).toBe("*.*");
  expect(ruleFor(rules.slice(0, 1), "other", "b")).toBeNull();
});
