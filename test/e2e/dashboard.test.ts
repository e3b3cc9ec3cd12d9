// What runs in the page knows the page.
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { dirname } from "node:path";
import type { Locator } from "playwright-core";
import { expect, test, vi } from "vitest";
import { pgDump } from "../support/components.ts";
import { waitFor } from "../support/wait.ts";
import { expectUsable, giveToken, open, section, shot, shotsOfPage, showOnce, told } from "./dashboard-support.ts";
import { ask, pauseLink, serve, stateOf, token } from "./http-support.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const ready = showOnce(() => {
  const backup = `backup: { dir: kept, pg_bin: "${dirname(pgDump())}" }\n`;
  return serve("create table artist (id int primary key, name text, country text, born date)", backup);
});

test("opens with sentences, asks nobody else, and holds the policy", async () => {
  const { served, browser } = ready();
  const { local, external } = served.nodes;
  await local.admin.query("insert into artist values (1, 'Elis Regina', 'BR', '1945-03-17'), (2, 'Nina', 'US', null)");
  await waitFor(async () => (await external.admin.value("select count(*)::text from artist")) === "2");
  await using opened = await open(browser, served.url);
  const { page, faults, requests } = opened;
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  await page.getByText("All nodes have everything from each other").waitFor();
  await page.getByText("Note: No backup yet").waitFor();
  await page.getByRole("img", { name: /The nodes local and external\. local → external: In step\./ }).waitFor();
  await page.getByRole("columnheader", { name: "Lag" }).waitFor();
  for (const link of ["local external", "external local"])
    await page.getByRole("row", { name: new RegExp(`^${link} In step 0 [\\d,]+ (ms|s|min) `) }).waitFor();
  await page.getByText("2 rows in all").waitFor({ timeout: 60_000 });
  for (const empty of ["Nothing waits", "No conflict:", "No row is parked"]) await page.getByText(empty).waitFor();
  await expectUsable(page);
  expect(faults).toEqual([]);
  expect(requests.filter((url) => !url.startsWith(served.url))).toEqual([]);
  expect(requests.filter((url) => url.includes(token))).toEqual([]);
  // Who is no browser gets the list of paths, as before.
  expect((await ask<{ paths: string[] }>(served.url, "/")).body.paths).toContain("/api/access");
  expect((await ask(served.url, "/assets/..%2Findex.html")).status).toBe(404);
});

test("what flows, waits and rests is seen as it happens; a link is paused and resumed", async () => {
  const { served, browser } = ready();
  const { local, external } = served.nodes;
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  await page.getByRole("button", { name: "Pause the link from local to external" }).click();
  await giveToken(page);
  await told(page, /The link from local to external rests/);
  await page.getByRole("heading", { level: 1, name: "One thing needs a look" }).waitFor();
  await page.getByText(/local → external is paused since/).waitFor();
  await waitFor(async () => (await stateOf(served.url, "local:external")) === "paused");
  await external.admin.query("update tandem.inbound set lag = interval '90 seconds'");
  await local.admin.query("insert into artist values (3, 'Caetano', 'BR', null), (4, 'Gal', 'BR', null)");
  await page.getByText(/2 changes waiting for external, oldest \d/).waitFor();
  await section(page, "Pending")
    .getByRole("row", { name: /artist 4 inserted local external/ })
    .waitFor();
  await section(page, "One thing needs a look")
    .getByRole("row", { name: /^local external Paused/ })
    .getByRole("cell", { name: "90 s", exact: true })
    .waitFor();
  await expectUsable(page);
  // Resumed by somebody else: seen without a click.
  await ask(served.url, "/api/links/local:external/resume", { method: "POST", token });
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  await section(page, "Pending").getByText("Nothing waits").waitFor();
  expect(await external.admin.value("select count(*)::text from artist")).toBe("4");
  // The tab remembers the token, the browser does not.
  await page.reload();
  await page.getByRole("button", { name: "Lock actions" }).waitFor();
  expect(await page.evaluate("JSON.stringify(localStorage)")).not.toContain(token);
  expect(page.url()).toBe(`${served.url}/`);
  await page.getByRole("button", { name: "Compare now" }).click();
  await told(page, /All nodes are identical\./);
  await page.getByText(/All nodes identical as of (.+, )?\d\d:\d\d/).waitFor();
  expect(faults).toEqual([]);
});

test("no line runs through the words of a link; a long list is short until all of it is asked for", async () => {
  const { served, browser } = ready();
  const { local, external } = served.nodes;
  await pauseLink(served, "local", "external");
  await using _ = {
    [Symbol.asyncDispose]: async () => void (await external.admin.query("select tandem.resume_link('local')")),
  };
  await local.admin.query("insert into artist select g, 'Coro', null, null from generate_series(1001, 1012) g");
  for (const viewport of [
    { width: 1_200, height: 900 },
    { width: 390, height: 844 },
  ]) {
    await using opened = await open(browser, served.url, { viewport });
    const { page, faults } = opened;
    const words = page.locator(".picture .link text", { hasText: "Paused: 12" });
    await words.scrollIntoViewIfNeeded();
    const drawn = async (width: string, clip: { x: number; y: number; width: number; height: number }) => {
      await page.evaluate((wide) => {
        for (const line of document.querySelectorAll<SVGElement>(".picture path.way")) {
          line.style.strokeWidth = wide;
          line.style.strokeDasharray = "none";
        }
      }, width);
      return (await page.screenshot({ clip })).toString("base64");
    };
    // What the page is told meanwhile may move the words between two pictures: a line through them is in every pair.
    await waitFor(async () => {
      const clip = (await words.boundingBox())!;
      return (await drawn("0", clip)) === (await drawn("9px", clip));
    });
    const pending = section(page, "Pending");
    const all = pending.getByRole("button", { name: "Show all 12" });
    await all.waitFor();
    expect(await pending.locator("tbody tr").count()).toBe(8);
    await all.press("Enter");
    await waitFor(async () => (await pending.locator("tbody tr").count()) === 12);
    expect(await pending.getByRole("button").count()).toBe(0);
    await expectUsable(page);
    expect(faults).toEqual([]);
  }
  await external.admin.query("select tandem.resume_link('local')");
  await local.admin.query("delete from artist where id > 1000");
  await waitFor(async () => (await external.admin.value("select count(*)::text from artist where id > 1000")) === "0");
});

test("a conflict: both images side by side, and the one that lost brought back", async () => {
  const { served, browser } = ready();
  const { local, external } = served.nodes;
  await local.admin.query("insert into artist values (20, 'Nina', 'US', null)");
  await waitFor(async () => (await external.admin.value("select name from artist where id = 20")) === "Nina");
  await local.admin.query("begin; update artist set name = 'Nina S.' where id = 20");
  await external.admin.query("update artist set name = 'Nina Simone', born = '1933-02-21' where id = 20");
  await local.admin.query("commit");
  await waitFor(async () => (await local.admin.value("select name from artist where id = 20")) === "Nina Simone");
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  await page.getByText(/\d conflicts? decided in the last 24 hours/).waitFor();
  await page.getByRole("button", { name: "Compare the two images of artist 20" }).click();
  await giveToken(page);
  const dialog = page.getByRole("dialog", { name: "Conflict in artist 20" });
  await dialog.getByRole("row", { name: "id 20 20" }).waitFor();
  const rows = await dialog.locator("tbody tr").allTextContents();
  // Two changes within a minute: which was later is seen.
  expect(await dialog.locator("thead .small").allTextContents()).toEqual([
    expect.stringMatching(/^external, \d\d:\d\d:\d\d\.\d{3}$/),
    expect.stringMatching(/^local, \d\d:\d\d:\d\d\.\d{3}$/),
  ]);
  expect(rows).toEqual(["id2020", "namediffersNina SimoneNina S.", "countryUSUS", "borndiffers1933-02-21null"]);
  await expectUsable(page);
  await shot(page, "conflict");
  // In a small window one begins to read at the top; a phone shows all of both images.
  const window = page.viewportSize()!;
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.setViewportSize({ width: 360, height: 400 });
  await page.getByRole("button", { name: "Compare the two images of artist 20" }).click();
  await dialog.getByRole("heading").waitFor();
  expect(await dialog.evaluate(({ scrollTop }) => scrollTop)).toBe(0);
  expect(await dialog.evaluate(cutCells)).toEqual([]);
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Close");
  await page.setViewportSize(window);
  await dialog.getByRole("button", { name: "Bring back what lost" }).click();
  await told(page, /artist 20 is as it was in the image that lost/);
  for (const { admin } of served.nodes) {
    await waitFor(async () => (await admin.value("select name from artist where id = 20")) === "Nina S.");
  }
  await section(page, "Conflicts").getByText("brought back").waitFor();
  expect(faults).toEqual([]);
});

test("what takes long is said to be under way until it ends", async () => {
  const { served, browser } = ready();
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  let go = () => {};
  const mayGo = new Promise<void>((resolve) => {
    go = resolve;
  });
  await page.route("**/api/verify?wait=1", async (route) => {
    await mayGo;
    await route.continue();
  });
  await page.getByRole("button", { name: "Compare now" }).click();
  await giveToken(page);
  const busy = page.locator(".notice.busy", { hasText: "Comparing all nodes is under way" });
  await busy.waitFor();
  go();
  await busy.waitFor({ state: "detached" });
  await told(page, /All nodes are identical\./);
  expect(faults).toEqual([]);
});

test("what is under way already is said so in words of the page, with no request for programs", async () => {
  const { served, browser } = ready();
  await using opened = await open(browser, served.url, { expected: /409/ });
  const { page, faults } = opened;
  const error = {
    code: "action_running",
    message: "verify is under way since 2026-01-01T00:00:00.000Z: action 1",
    hint: "Wait for it: GET /api/actions/ID tells how it is.",
  };
  await page.route("**/api/verify?wait=1", (route) => route.fulfill({ status: 409, json: { error } }));
  await page.getByRole("button", { name: "Compare now" }).click();
  await giveToken(page);
  await told(page, /^This is under way already\.$/);
  const said = () => page.locator(".notice.amber p").allTextContents();
  expect(await said()).toEqual(["This is under way already.", error.message]);
  await page.getByLabel("Language").selectOption("pt-BR");
  expect(await said()).toEqual(["Esta ação já está em andamento.", error.message]);
  expect(faults).toEqual([]);
});

test("a parked row is tried again, and dropped with a reason", async () => {
  const { served, browser } = ready();
  const { local, external } = served.nodes;
  await external.admin.query("alter table artist add constraint few check (id < 50)");
  await local.admin.query("insert into artist values (51, 'Tim', 'BR', null)");
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  await page.getByText("1 row from local is parked in external").waitFor();
  await section(page, "Parked")
    .getByText(/violates check constraint "few"/)
    .waitFor();
  // The page points to where it shows why, and names no command for it.
  const overview = section(page, "One thing needs a look");
  expect(await overview.textContent()).not.toContain("tandem parked");
  await overview.getByRole("link", { name: "Parked" }).click();
  await expect.poll(() => isInView(section(page, "Parked"))).toBe(true);
  await page.getByLabel("Language").selectOption("pt-BR");
  await section(page, "Retidas").getByText("O banco recusa a linha").waitFor();
  await page.getByLabel("Idioma").selectOption("en");
  await page.getByRole("button", { name: "Bring together now" }).click();
  await giveToken(page);
  await told(page, /^All nodes were brought to one state, but for 1 row that is parked\.$/);
  await page.getByRole("button", { name: "Compare now" }).click();
  await told(page, /^1 row differs, in artist\. tandem verify names the keys\.$/);
  expect(await page.locator(".notice.good", { hasText: "differs" }).count()).toBe(0);
  await page.getByRole("button", { name: "Try artist 51 again" }).click();
  await told(page, /artist 51 is tried again/);
  await page.getByRole("button", { name: "Drop artist 51" }).click();
  const dialog = page.getByRole("dialog", { name: "Drop artist 51?" });
  expect(await dialog.getByRole("button", { name: "Drop" }).isDisabled()).toBe(true);
  await dialog.getByLabel("Reason").fill("entered twice");
  await dialog.getByRole("button", { name: "Drop" }).click();
  await told(page, /artist 51 was dropped/);
  await section(page, "Parked").getByText("No row is parked").waitFor();
  await section(page, "Activity")
    .getByText(/dropped: entered twice/)
    .waitFor();
  expect(faults).toEqual([]);
  // A change of the row makes both equal again.
  await external.admin.query("alter table artist drop constraint few");
  await local.admin.query("delete from artist where id = 51");
  await waitFor(async () => (await ask<{ well: boolean }>(served.url, "/api/status")).body.well);
});

test("a backup is made, proven, and restored after its name was typed", async () => {
  const { served, browser } = ready();
  const { local, external } = served.nodes;
  await using opened = await open(browser, served.url, { expected: /ERR_FAILED/ });
  const { page, faults } = opened;
  await local.admin.query("insert into artist values (30, 'Elis', 'BR', null)");
  await waitFor(async () => (await external.admin.value("select name from artist where id = 30")) === "Elis");
  const backups = section(page, "Backups");
  await backups.getByRole("button", { name: "Back up now" }).click();
  await giveToken(page);
  const made = await told(page, /^Backup made: /);
  const ids = made.match(/\d{4}-\d\d-\d\dT[\w-]+/g) ?? [];
  expect(ids.length).toBe(2);
  const { body } = await ask<{ backups: { id: string; node: string }[] }>(served.url, "/api/backups");
  const id = body.backups.find(({ node }) => node === "local")?.id ?? "";
  expect(ids).toContain(id);
  await page.getByText(/Last backup \d+ (s|min) ago, not proven yet/).waitFor();
  // There is no store: no copy outlives the disk of this machine.
  await backups
    .getByRole("row", { name: new RegExp(id) })
    .locator(".badge.amber", { hasText: "only here" })
    .waitFor();
  await backups.locator("p.amber", { hasText: "There is no store" }).waitFor();
  await page.getByRole("button", { name: `Verify backup ${id}` }).click();
  await told(page, /is proven: equal in content/);
  await page.getByText(/Last backup .* ago, proven .* ago/).waitFor();

  await local.admin.query("delete from artist where id = 30");
  await waitFor(async () => (await external.admin.value("select count(*)::text from artist where id = 30")) === "0");
  await page.getByRole("button", { name: `Restore backup ${id}` }).click();
  const dialog = page.getByRole("dialog", { name: `Restore ${id}` });
  expect(await dialog.getByRole("button", { name: "Restore", exact: true }).count()).toBe(0);
  // Whoever looks into the dialog sees that it is being looked, or why it could not be.
  const look = dialog.getByRole("button", { name: "Show what it would do" });
  let cut = () => {};
  const mayCut = new Promise<void>((resolve) => {
    cut = resolve;
  });
  await page.route("**/restore?wait=1", async (route) => {
    await mayCut;
    await route.abort();
  });
  await look.click();
  await dialog.getByRole("status").filter({ hasText: "is under way" }).waitFor();
  cut();
  await dialog.getByRole("alert").filter({ hasText: "The sidecar did not answer." }).waitFor();
  expect(await look.evaluate((button) => document.activeElement === button)).toBe(true);
  await page.unroute("**/restore?wait=1");
  await look.click();
  await dialog.getByRole("row", { name: /^artist 1 0 0 \d+ 0$/ }).waitFor();
  expect(await page.evaluate(() => document.activeElement?.textContent)).toMatch(/^It would do this in local/);
  expect(await local.admin.value("select count(*)::text from artist where id = 30")).toBe("0");
  const go = dialog.getByRole("button", { name: "Restore", exact: true });
  await dialog.getByLabel(/type the name of the backup/).fill(id.slice(0, -1));
  expect(await go.isDisabled()).toBe(true);
  await dialog.getByLabel(/type the name of the backup/).fill(id);
  await expectUsable(page);
  await shot(page, "restore");
  await go.click();
  await told(page, /was restored into local\. What was there before is backup/);
  for (const { admin } of served.nodes) {
    await waitFor(async () => (await admin.value("select name from artist where id = 30")) === "Elis");
  }
  expect(faults).toEqual([]);
  await shotsOfPage(page);
});

/** The cells whose words are wider than they are. */
function cutCells(dialog: HTMLElement | SVGElement): string[] {
  return [...dialog.querySelectorAll("th, td")]
    .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
    .map(({ textContent }) => textContent ?? "");
}

/** Whether any of it is in the window, below the page's head. */
async function isInView(part: Locator): Promise<boolean> {
  return await part.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return bottom > document.querySelector("header")!.getBoundingClientRect().bottom && top < innerHeight;
  });
}
