import type { Page } from "playwright-core";
import { expect, test, vi } from "vitest";
import { AlertServer } from "../support/alert-server.ts";
import { waitFor } from "../support/wait.ts";
import { expectUsable, open, section, shot, showOnce } from "./dashboard-support.ts";
import { ask, pauseLink, serve } from "./http-support.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const ready = showOnce(async () => {
  const hook = await AlertServer.open();
  const target = `{ name: hook, webhook: "${hook.url("/hook")}", secret: a-secret-of-the-webhook-81 }`;
  const rules = "rules: { parked: 1s, lag: 1s, conflicts_per_hour: 1 }";
  return await serve(
    "create table artist (id int primary key, name text)",
    `alerts: { every: 1s, ${rules}, targets: [${target}] }\n`,
  );
});

test("what people are told of by a problem is said once, with since when the alert is out; nothing of it stays when it is over", async () => {
  const { served, browser } = ready();
  const { local, external } = served.nodes;
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  expect(await amber(page)).toEqual([]);
  await external.admin.query("alter table artist add constraint few check (id < 50)");
  await local.admin.query("insert into artist values (51, 'Tim')");
  const parked = page.locator(".sentences li").filter({ hasText: "1 row from local is parked in external" });
  // With the day, once that is over.
  await parked.getByText(/^An alert is out since (.+, )?\d\d:\d\d\.$/).waitFor();
  await waitFor(async () => (await amber(page)).join() === "1 row from local is parked in external");
  await page.getByRole("heading", { level: 1, name: "One thing needs a look" }).waitFor();
  await waitFor(async () => (await page.title()) === "(1) Tandem", { what: () => page.title() });
  // At once: the pauses between its tries grow with the time that this test has taken.
  await external.admin.query("alter table artist drop constraint few; select tandem.retry_parked(null)");
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  expect(await amber(page)).toEqual([]);
  expect(faults).toEqual([]);
});

test("changes that wait too long turn amber; what only an alert speaks of has a sentence of its own, in the language of the page", async () => {
  const { served, browser } = ready();
  const { local, external } = served.nodes;
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  await local.admin.query("insert into artist values (1, 'Elis'), (2, 'Tom')");
  await waitFor(async () => (await external.admin.value("select count(*)::text from artist where id < 3")) === "2");
  await pauseLink(served, "local", "external");
  await local.admin.query("update artist set name = name || ' here' where id < 3");
  await external.admin.query("update artist set name = name || ' there' where id < 3");
  const waiting = page.locator(".sentences li.amber").filter({ hasText: "2 changes waiting for external" });
  await waiting.getByText(/^An alert is out since /).waitFor();
  const conflicts = page
    .locator(".sentences li.amber")
    .filter({ hasText: /2 conflicts between \w+ and \w+ within an hour/ });
  await conflicts.getByText(/^An alert is out since /).waitFor();
  await conflicts.getByText("tandem conflicts shows how they were decided.").waitFor();
  const said = async () =>
    (await amber(page)).map((text) => text.replace(/,? (oldest|since|by|decided) .*/, "")).join("\n");
  const all = [
    "local → external is paused",
    "2 conflicts between \\w+ and \\w+ within an hour",
    "2 changes waiting for external",
  ];
  await waitFor(async () => new RegExp(`^${all.join("\n")}$`).test(await said()), { what: said });
  await page.getByRole("heading", { level: 1, name: "3 things need a look" }).waitFor();
  await expectUsable(page);
  await shot(page, "alerts");
  await page.getByLabel("Language").selectOption("Português");
  await section(page, "3 pontos pedem atenção").waitFor();
  const own = page.locator(".sentences li.amber").filter({ hasText: /Muitos conflitos em uma hora entre \w+ e \w+/ });
  await own.getByText(/^Há um alerta desde (.+, )?\d\d:\d\d\.$/).waitFor();
  expect(await own.locator("[lang=en]").textContent()).toContain("2 conflicts between");
  await external.admin.query("select tandem.resume_link('local')");
  for (const { admin } of served.nodes)
    await admin.query("update tandem.conflict set detected_at = detected_at - interval '2 hours'");
  await waitFor(async () => (await ask<{ alerts: unknown[] }>(served.url, "/api/alerts")).body.alerts.length === 0);
  await page.getByRole("heading", { level: 1, name: "Está tudo bem" }).waitFor();
  expect(faults).toEqual([]);
});

/** The sentences of what needs a look. */
async function amber(page: Page): Promise<string[]> {
  const texts = await page.locator(".sentences li.amber div > p:first-child").allTextContents();
  return texts.map((text) => text.replace(/^\S[^:]*: /, ""));
}
