// What runs in the page knows the page.
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { projectRoot } from "../support/child.ts";
import { findComponent, skipUnless } from "../support/components.ts";
import { Admin, type TestNode } from "../support/pg.ts";
import { type Served, token } from "./http-support.ts";

/** What all tests of a file share. */
export interface Shown {
  readonly served: Served;
  readonly browser: Browser;
}

/** Has all tests of a file share nodes, a sidecar and a browser; a test that asks for them skips, by name, where there is no browser. */
export function showOnce(start: () => Promise<Served>): () => Shown {
  let shown: Shown | undefined;
  beforeAll(async () => {
    if (findComponent("chromium") !== undefined) shown = { served: await start(), browser: await openBrowser() };
  });
  afterAll(async () => {
    await shown?.browser.close();
    await shown?.served.sidecar.stop();
    await shown?.served.nodes[Symbol.asyncDispose]();
  });
  return () => {
    skipUnless("chromium");
    if (!shown) throw new Error("nothing is shown: beforeAll failed");
    return shown;
  };
}

async function openBrowser(): Promise<Browser> {
  const executablePath = skipUnless("chromium");
  // The tests may run as root, which Chromium's sandbox refuses.
  return await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A page that a person has opened, and what went wrong in it. */
export interface Opened extends AsyncDisposable {
  readonly page: Page;
  /** Errors of scripts, of the policy, and of requests that found nothing. */
  readonly faults: string[];
  /** Everything that was asked for. */
  readonly requests: string[];
}

/** What a person's browser is like, besides the language. */
export interface Reader extends BrowserContextOptions {
  /** Errors that the test brings about itself. */
  readonly expected?: RegExp;
}

/** Opens a page; nothing of the test's world is shared with another one. */
export async function open(browser: Browser, url: string, reader: Reader = {}): Promise<Opened> {
  const { expected, ...options } = reader;
  const context = await browser.newContext({
    locale: "en-GB",
    timezoneId: "UTC",
    viewport: { width: 1_200, height: 900 },
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const faults: string[] = [];
  const requests: string[] = [];
  const note = (fault: string) => {
    if (!expected?.test(fault)) faults.push(fault);
  };
  page.on("pageerror", (error) => note(String(error)));
  page.on("console", (message) => message.type() === "error" && note(message.text()));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(url);
  return { page, faults, requests, [Symbol.asyncDispose]: () => context.close() };
}

/** Types the token where the page asks for it; what was to be done may open a dialog of its own at once. */
export async function giveToken(page: Page, unlock = "Unlock"): Promise<void> {
  const dialog = page.getByRole("dialog").filter({ has: page.getByLabel("Token") });
  await dialog.getByLabel("Token").fill(token);
  await dialog.getByRole("button", { name: unlock }).click();
  await dialog.waitFor({ state: "detached" });
}

/** Presses Tab until the element with this name has the keyboard. */
export async function tabTo(page: Page, name: string): Promise<void> {
  for (let i = 0; i < 60; i += 1) {
    const here = await page.evaluate(() => document.activeElement?.ariaLabel);
    if (here === name) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the keyboard does not come to ${name}`);
}

/** Has a database answer nobody until this is disposed of. */
export async function silence({ server, database, admin }: TestNode): Promise<AsyncDisposable> {
  await admin.close();
  const above = new Admin(server.url);
  await above.query(`alter database "${database}" allow_connections false`);
  await above.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [database]);
  return {
    async [Symbol.asyncDispose]() {
      await above.query(`alter database "${database}" allow_connections true`);
      await above.close();
    },
  };
}

/** A part of the page by its heading. */
export function section(page: Page, name: string): Locator {
  return page.getByRole("region", { name });
}

/** The sentence that the page shows after something was done. */
export async function told(page: Page, sentence: RegExp): Promise<string> {
  const notice = page.locator(".notice p").filter({ hasText: sentence }).first();
  await notice.waitFor();
  return (await notice.textContent()) ?? "";
}

/** With DASHBOARD_SHOTS, a folder of the project, a picture of what is in the window goes there, for docs/dashboard.md. */
export async function shot(page: Page, name: string): Promise<void> {
  const folder = process.env.DASHBOARD_SHOTS;
  if (folder === undefined) return;
  await mkdir(join(projectRoot, folder), { recursive: true });
  await page.screenshot({ path: join(projectRoot, folder, `${name}.png`) });
}

/** The same of the whole page: light, dark in the other language, and on a phone. */
export async function shotsOfPage(page: Page): Promise<void> {
  if (process.env.DASHBOARD_SHOTS === undefined) return;
  await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
  await page.setViewportSize({ width: 1_200, height: 1_400 });
  await shot(page, "light");
  await page.getByLabel("Appearance").selectOption("dark");
  await page.getByLabel("Language").selectOption("pt-BR");
  await page.getByRole("heading", { level: 1, name: "Está tudo bem" }).waitFor();
  await shot(page, "dark");
  await page.setViewportSize({ width: 390, height: 1_400 });
  await shot(page, "phone");
}

/** What every page must keep: names for all that can be used, one heading of the first order, ids used once, no overflow. */
export async function expectUsable(page: Page): Promise<void> {
  const faults = await page.evaluate(() => {
    const found: string[] = [];
    const visible = (element: Element) => element.checkVisibility();
    const nameOf = (element: HTMLElement) =>
      element.ariaLabel ||
      element
        .getAttribute("aria-labelledby")
        ?.split(" ")
        .map((id) => document.getElementById(id)?.textContent)
        .join(" ") ||
      (element as HTMLInputElement).labels?.[0]?.textContent ||
      (["BUTTON", "A"].includes(element.tagName) && element.textContent);
    for (const element of document.querySelectorAll<HTMLElement>(
      "button, a, input, select, dialog, nav, section, fieldset[aria-label], [role=img]",
    )) {
      if (visible(element) && !nameOf(element)) found.push(`no name: ${element.outerHTML.slice(0, 120)}`);
    }
    for (const svg of document.querySelectorAll("svg")) {
      if (svg.role !== "img" && svg.ariaHidden !== "true") found.push(`svg neither hidden nor image: ${svg.outerHTML}`);
    }
    for (const table of document.querySelectorAll("table:not(.u-legend)")) {
      for (const cell of table.querySelectorAll("th"))
        if (!cell.scope) found.push(`th without scope: ${cell.outerHTML}`);
    }
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    found.push(...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `id twice: ${id}`));
    const levels = [...document.querySelectorAll("h1, h2, h3")].filter(visible).map(({ tagName }) => tagName);
    if (levels.filter((level) => level === "H1").length !== 1) found.push(`headings: ${levels}`);
    if (document.documentElement.lang === "") found.push("no language");
    if (document.querySelector("[style*=expression], style, script:not([src]), [onclick]")) found.push("inline code");
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) {
      const wide = [...document.body.querySelectorAll("*")].filter(
        (each) => each.getBoundingClientRect().right > clientWidth && !each.closest("nav"),
      );
      const names = wide.map((each) => `${each.tagName}.${each.getAttribute("class")}`);
      found.push(`wider than the window: ${scrollWidth} > ${clientWidth}: ${names.slice(-4)}`);
    }
    return found;
  });
  expect(faults).toEqual([]);
}
