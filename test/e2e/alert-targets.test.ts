import { createHmac } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { AlertEvent } from "../../src/alert/event.ts";
import { Outbox } from "../../src/alert/outbox.ts";
import { send } from "../../src/alert/send.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { type Clock, systemClock } from "../../src/base/time.ts";
import type { AlertTarget } from "../../src/config/config.ts";
import { AlertServer } from "../support/alert-server.ts";
import { tempFolder } from "../support/child.ts";
import { SmtpServer } from "../support/smtp-server.ts";
import { waitFor } from "../support/wait.ts";
import { run, runJson } from "./cli-runner.ts";

const secret = "a-secret-of-the-webhook-81";
const event: AlertEvent = {
  id: "6f0c2a52-0000-4000-8000-000000000001",
  what: "fired",
  alert: "parked local:external",
  rule: "parked",
  subject: "local:external",
  since: "2026-11-22T12:00:00.000Z",
  at: "2026-11-22T12:05:00.000Z",
  message: "3 rows from local parked in external, of <!channel> & @everyone",
  remedy: "`tandem parked` shows why.",
};
const options = { clock: systemClock, sender: "test" };
const line =
  "ALERT parked: 3 rows from local parked in external, of <!channel> & @everyone (since 2026-11-22 12:00 UTC). `tandem parked` shows why.";

describe("what each target is sent", () => {
  test("a webhook: a document signed with the time, which its secret alone makes", async () => {
    const server = await AlertServer.open();
    const target: AlertTarget = { name: "hook", kind: "webhook", url: server.url("/hook?key=k3y-3456789"), secret };
    expect(await send(target, [event], options)).toBe("200 ok");
    const [got] = server.received;
    expect(got?.path).toBe("/hook?key=k3y-3456789");
    expect(JSON.parse(got?.body ?? "")).toEqual({ sender: "test", text: line, events: [event] });
    expect(got?.headers["tandem-event"]).toBe(event.id);
    const [, seconds = "", signature = ""] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(got?.headers["tandem-signature"])) ?? [];
    expect(Math.abs(Number(seconds) - Date.now() / 1_000)).toBeLessThan(300);
    expect(signature).toBe(createHmac("sha256", secret).update(`${seconds}.${got?.body}`).digest("hex"));
  });

  test("Slack and Discord: a text in which nothing mentions anybody, no longer than they take", async () => {
    const server = await AlertServer.open();
    await send({ name: "slack", kind: "slack", url: server.url("/slack") }, [event], options);
    await send({ name: "discord", kind: "discord", url: server.url("/discord") }, [event], options);
    const many = Array.from({ length: 60 }, (_, i) => ({ ...event, subject: `${i}`, message: "x".repeat(900) }));
    await send({ name: "discord", kind: "discord", url: server.url("/discord") }, many, options);
    const bodies = server.received.map(({ body }) => JSON.parse(body));
    expect(bodies[0]).toEqual({ text: line.replace("<!channel> &", "&lt;!channel&gt; &amp;") });
    expect(bodies[1]).toEqual({ content: line, allowed_mentions: { parse: [] } });
    expect(bodies[2].content).toHaveLength(2_000);
  });

  test("a mail, from who may hand it in", async () => {
    const login = { user: "ops@example.com", password: "mail: p@ss/word 7" };
    const server = await SmtpServer.open(login);
    const url = `smtp://${encodeURIComponent(login.user)}:${encodeURIComponent(login.password)}@127.0.0.1:${server.port}`;
    const target: AlertTarget = {
      name: "mail",
      kind: "email",
      url,
      from: "Tandem <tandem@example.com>",
      to: ["a@example.com", "b@example.com"],
    };
    const hostile = { ...event, message: "line\r\nBcc: c@example.com\r\n.\r\nQUIT" };
    expect(await send(target, [hostile, { ...event, what: "cleared", subject: "x" }], options)).toMatch(/^250/);
    expect(server.mails).toHaveLength(1);
    const [mail] = server.mails;
    expect(mail).toMatchObject({
      user: login.user,
      from: "tandem@example.com",
      to: ["a@example.com", "b@example.com"],
    });
    expect(mail?.text).toContain("Subject: Tandem ALERT parked local:external (and 1 more)");
    expect(mail?.text).not.toMatch(/^Bcc/m);
    const wrong = { ...target, url: url.replace("pass", "").replace("p%40ss", "p%40sz") };
    const refused = await send(wrong, [event], options).catch((error) => String(error.message));
    expect(refused).toMatch(/^the server answered 535 no such login/);
    expect(refused).not.toContain("p@s");
    server.refusal = "550 nobody of that name";
    await expect(send(target, [event], options)).rejects.toThrow("the server answered 550 nobody of that name");
  });

  test("a password goes in the clear to this machine only", async () => {
    const server = await SmtpServer.open({ user: "u", password: "password-77" });
    // 0.0.0.0 is this machine too, but not by a name that everybody knows as that
    const target: AlertTarget = {
      name: "mail",
      kind: "email",
      url: `smtp://u:password-77@0.0.0.0:${server.port}`,
      from: "a@b.c",
      to: ["d@e.f"],
    };
    await expect(send(target, [event], options)).rejects.toThrow("not");
    expect(server.mails).toEqual([]);
  });

  test("a target that refuses or is not there: what it said, and nothing of its URL", async () => {
    const server = await AlertServer.open();
    const url = server.url("/services/T0001/B0002/xoxb-31415926");
    server.answer = { status: 403, text: `no: ${url}` };
    await expect(send({ name: "slack", kind: "slack", url }, [event], options)).rejects.toMatchObject({
      code: "alert_not_sent",
      message: "the target answered 403 no: ***",
    });
    server.answer = { status: 302, text: "" };
    await expect(send({ name: "slack", kind: "slack", url }, [event], options)).rejects.toThrow("answered 302");
    await server.close();
    await expect(send({ name: "slack", kind: "slack", url }, [event], options)).rejects.toMatchObject({
      message: "the target was not reached: no connection (ECONNREFUSED)",
    });
  });
});

/** Sleeps are over when the test says so. */
class HeldClock implements Clock {
  readonly slept: number[] = [];
  #over: (() => void)[] = [];
  now(): number {
    return Date.now();
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(ms);
    await new Promise<void>((resolve) => {
      this.#over.push(resolve);
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
  }
  wake(): void {
    for (const over of this.#over.splice(0)) over();
  }
}

function outboxOf(target: AlertTarget, clock: Clock) {
  const end = new AbortController();
  const told: string[] = [];
  const warned: string[] = [];
  const logger = {
    ...silentLogger,
    warn: (fields: object, text: string) => void warned.push(`${JSON.stringify(fields)} ${text}`),
  };
  const onTold = (_: string, events: readonly AlertEvent[]) => void told.push(...events.map(({ what }) => what));
  const outbox = new Outbox(target, { sender: "test", clock, logger, signal: end.signal, onTold });
  return { outbox, told, warned, end, running: outbox.run() };
}

describe("what waits for a target", () => {
  test("is tried again in growing pauses, holds up nobody, and is the newest word when it goes", async () => {
    const server = await AlertServer.open();
    const url = server.url("/hook/key-0123456789");
    server.answer = { status: 500, text: `broken ${url}` };
    const clock = new HeldClock();
    const { outbox, told, warned, end, running } = outboxOf({ name: "hook", kind: "webhook", url, secret }, clock);
    outbox.offer([event], false);
    for (let tries = 1; tries <= 4; tries++) {
      await waitFor(() => clock.slept.length === tries);
      outbox.offer([{ ...event, what: tries < 3 ? "lasts" : "cleared" }], tries >= 3);
      if (tries === 3) server.answer = { status: 200, text: "" };
      if (tries === 4) break;
      clock.wake();
      if (tries === 3) break;
    }
    await waitFor(() => told.length > 0);
    expect(told).toEqual(["cleared"]);
    expect(clock.slept[1]).toBeGreaterThan(clock.slept[0] ?? 0);
    expect(clock.slept[2]).toBeGreaterThan(clock.slept[1] ?? 0);
    expect(server.received).toHaveLength(4);
    expect(warned[0]).toContain("alert_not_sent: the target answered 500 broken ***");
    expect(warned.join()).not.toMatch(/0123456789|a-secret/);
    end.abort();
    await running;
  });

  test("a dead man's switch: start, a sign of life with every look while all is well, failure once, and none while anything holds", async () => {
    const server = await AlertServer.open();
    const target: AlertTarget = { name: "dead-man", kind: "ping", url: server.url("/ping/8d1f0a77-uuid?x=1") };
    const { outbox, told, end, running } = outboxOf(target, systemClock);
    const paths = () => server.received.map(({ path }) => path.replace("/ping/8d1f0a77-uuid", ""));
    outbox.offer([], true);
    await waitFor(() => paths().length === 2);
    outbox.offer([event], false);
    await waitFor(() => told.length === 1);
    outbox.offer([], false);
    outbox.offer([{ ...event, what: "cleared" }], true);
    await waitFor(() => told.length === 2);
    expect(paths()).toEqual(["/start?x=1", "?x=1", "/fail?x=1", "?x=1"]);
    expect(server.received[2]?.body).toBe(line);
    end.abort();
    await running;
  });

  test("one that is silent does not keep the sidecar from ending", async () => {
    const server = await AlertServer.open();
    server.answer = "silent";
    const { outbox, told, end, running } = outboxOf(
      { name: "slack", kind: "slack", url: server.url("/s") },
      systemClock,
    );
    outbox.offer([event], false);
    await waitFor(() => server.received.length === 1);
    end.abort();
    await running;
    expect(told).toEqual([]);
  });
});

describe("tandem alerts test", () => {
  const nodes = 'nodes: { one: { url: "postgresql://u@127.0.0.1:1/a" } }\n';

  test("tells each target, and says what each answered; 1 when one did not take it", async () => {
    const server = await AlertServer.open();
    const smtp = await SmtpServer.open();
    const cwd = await tempFolder();
    const env = {
      HOOK: server.url("/hook/t0ken-99887766"),
      SECRET: secret,
      SLACK: server.url("/gone/t0ken-55443322"),
      SMTP: `smtp://127.0.0.1:${smtp.port}`,
    };
    const targets = [
      `{ name: hook, webhook: "\${HOOK}", secret: "\${SECRET}" }`,
      `{ name: mail, email: "\${SMTP}", from: a@example.com, to: [b@example.com] }`,
    ];
    const file = (more: string[]) => `${nodes}alerts: { targets: [${[...targets, ...more].join(", ")}] }\n`;
    await writeFile(join(cwd, "tandem.yaml"), file([]));
    const well = await runJson<{ targets: { target: string; ok: boolean; answer: string }[] }>(["alerts", "test"], {
      cwd,
      env,
    });
    expect(well).toMatchObject({
      code: 0,
      document: {
        targets: [
          { target: "hook", kind: "webhook", ok: true, answer: "200 ok" },
          { target: "mail", kind: "email", ok: true },
        ],
      },
    });
    expect(server.events("/hook/t0ken-99887766")).toEqual(["test test"]);
    expect(smtp.mails[0]?.text).toContain("Subject: Tandem TEST test");
    await writeFile(join(cwd, "tandem.yaml"), file([`{ name: chat, slack: "\${SLACK}" }`]));
    server.answer = { status: 404, text: "no_such_hook" };
    const failed = await run(["alerts", "test", "--target", "chat"], { cwd, env });
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.stdout).toMatch(/chat +slack +no +the target answered 404 no_such_hook/);
    expect(`${failed.stdout}${failed.stderr}`).not.toMatch(/55443322|99887766|a-secret/);
  });

  test("2 where there is no such target, or none at all", async () => {
    const cwd = await tempFolder();
    await writeFile(join(cwd, "tandem.yaml"), nodes);
    expect(await run(["alerts", "test"], { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("names no target"),
    });
    await writeFile(
      join(cwd, "tandem.yaml"),
      `${nodes}alerts: { targets: [{ name: chat, slack: "https://h.example/x" }] }\n`,
    );
    const stranger = await run(["alerts", "test", "--target", "mail"], { cwd });
    expect(stranger).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is no target "mail"; there are chat'),
    });
    expect(await run(["alerts", "--target", "chat"], { cwd })).toMatchObject({ code: 2 });
  });
});
