import { expect, test, vi } from "vitest";
import { spawnTandem } from "../support/child.ts";
import { waitFor } from "../support/wait.ts";
import { expectUsable, giveToken, open, section, showOnce, tabTo, told } from "./dashboard-support.ts";
import { folderOf, serve, token, urlOf } from "./http-support.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const ready = showOnce(async () => {
  const sync = "interval: 100ms, heartbeat: 1s";
  const served = await serve("create table artist (id int primary key, name text)", "", 2, sync);
  await served.nodes.local.admin.query("insert into artist values (1, 'Elis Regina'), (2, 'Tom Jobim')");
  return served;
});

test("speaks Brazilian Portuguese to a Brazilian browser, and what is chosen to everybody, also the next time", async () => {
  const { served, browser } = ready();
  await using opened = await open(browser, served.url, { locale: "pt-BR" });
  const { page, faults } = opened;
  await page.getByRole("heading", { level: 1, name: "Está tudo bem" }).waitFor();
  await page.getByText("Todos os nós têm tudo uns dos outros").waitFor();
  expect(await page.getAttribute("html", "lang")).toBe("pt-BR");
  await page.getByRole("columnheader", { name: "Atraso" }).waitFor();
  await page.getByRole("columnheader", { name: "Pulso" }).waitFor();
  await page
    .getByRole("row", { name: /^local external Em dia 0 [\d.]+ (ms|s|min) [\d.]+ (ms|s) · há .+ há / })
    .waitFor();
  await expectUsable(page);
  // Nothing of the other language is left, but names.
  const text = (await page.locator("body").textContent())?.toLowerCase() ?? "";
  expect(["nothing", "pending", "waiting", "last ", "unlock"].filter((word) => text.includes(word))).toEqual([]);
  // What was done is told in the language that is chosen when it is read.
  await page.getByRole("button", { name: "Pausar a ligação de local para external" }).click();
  await giveToken(page, "Liberar");
  await told(page, /^A ligação de local para external fica em pausa/);
  await page.getByRole("button", { name: "Sincronizar agora" }).click();
  await told(page, /^Nem todos os nós puderam ser sincronizados\.$/);
  // What is done by a button here is not told as a request or a command.
  expect(await page.locator(".notice [lang=en]").textContent()).toMatch(/^link local → external is paused, by .*\.$/);
  expect(await page.locator(".notice [lang=en]").textContent()).not.toMatch(/POST|select/);
  await page.getByLabel("Idioma").selectOption("English");
  await told(page, /^Not all nodes could be brought together\.$/);
  await page.getByRole("button", { name: "Resume the link from local to external" }).click();
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  expect(await page.getAttribute("html", "lang")).toBe("en");
  expect(faults).toEqual([]);
});

test("light and dark: as the system, or as chosen, both with enough contrast", async () => {
  const { served, browser } = ready();
  await using opened = await open(browser, served.url, { colorScheme: "dark" });
  const { page, faults } = opened;
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  const [dark, darkContrasts] = [await groundOf(page), await contrastsOf(page)];
  await page.getByLabel("Appearance").selectOption("Light");
  const [light, lightContrasts] = [await groundOf(page), await contrastsOf(page)];
  expect([dark < 60, light > 220]).toEqual([true, true]);
  expect([...darkContrasts, ...lightContrasts].filter(({ contrast }) => contrast < 4.5)).toEqual([]);
  expect(darkContrasts.length).toBeGreaterThan(10);
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  expect(await groundOf(page)).toBe(light);
  expect(faults).toEqual([]);
});

test("by keyboard alone: skip, unlock, pause, and back where it was", async () => {
  const { served, browser } = ready();
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.ariaLabel || document.activeElement?.textContent);
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Skip to the content");
  await page.keyboard.press("Enter");
  await tabTo(page, "Pause the link from external to local");
  // A ring shows where the keyboard is.
  expect(await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)).not.toBe("none");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "The token of the sidecar" }).waitFor();
  // The keyboard is back the moment the dialog is gone, not some time after.
  const back = await page.evaluateHandle(() => ({
    at: new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        if (document.querySelector("dialog") !== null) return;
        observer.disconnect();
        resolve(document.activeElement?.ariaLabel);
      });
      observer.observe(document.body, { childList: true, subtree: true });
    }),
  }));
  await page.keyboard.press("Escape");
  expect(await back.evaluate(({ at }) => at)).toBe("Pause the link from external to local");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type("not the token");
  await page.keyboard.press("Enter");
  await page.getByText("This is not the token.").waitFor();
  await page.getByRole("textbox", { name: "Token" }).press("ControlOrMeta+a");
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
  await page.getByText(/external → local is paused since/).waitFor();
  await tabTo(page, "Resume the link from external to local");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  expect(faults.filter((fault) => !fault.includes("401"))).toEqual([]);
});

test("on a phone: nothing is wider than the window, and a finger hits every button", async () => {
  const { served, browser } = ready();
  const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 1 };
  await using opened = await open(browser, served.url, phone);
  const { page, faults } = opened;
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  await page.getByRole("img", { name: /The nodes local and external/ }).waitFor();
  await expectUsable(page);
  const low = await page.evaluate(
    () =>
      [...document.querySelectorAll("button, select")].filter((each) => each.getBoundingClientRect().height < 40)
        .length,
  );
  expect(low).toBe(0);
  // What a finger cannot point at is written out.
  for (const name of ["Lag", "Heartbeat"]) {
    const meaning = page
      .getByRole("definition")
      .filter({ hasText: name === "Lag" ? "from commit to commit" : "idle link" });
    expect(await meaning.isVisible()).toBe(true);
    await page
      .locator("#links td")
      .filter({ hasText: / ms| s/ })
      .and(page.locator(`[data-label=${name}]`))
      .first()
      .waitFor();
  }
  // The languages can be read as they are chosen, in whole words.
  expect(await page.getByLabel("Language").evaluate(roomOf)).toBeGreaterThan(0);
  await page.getByRole("link", { name: "Backups" }).tap();
  await waitFor(() => section(page, "Backups").isVisible());
  await page.getByRole("button", { name: "Back up now" }).tap();
  const box = (await page.getByRole("dialog").boundingBox())!;
  expect(box.x >= 0 && box.x + box.width <= 360).toBe(true);
  expect(faults).toEqual([]);
});

test("a sidecar that is gone is said, and its return seen, with what changed meanwhile", async () => {
  const { served, browser } = ready();
  const port = new URL(served.url).port;
  const at = await folderOf(served.nodes, "", `{ listen: "127.0.0.1:0", token: "${token}" }`);
  const first = spawnTandem(["run"], at);
  const url = await urlOf(first);
  expect(new URL(url).port).not.toBe(port);
  await using opened = await open(browser, url, { expected: /Failed to load resource|ERR_|network/ });
  const { page, faults } = opened;
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  await page.getByRole("button", { name: "Unlock actions" }).click();
  await giveToken(page);
  expect((await first.stop()).code).toBe(0);
  await page.getByRole("alert").filter({ hasText: "The sidecar does not answer since" }).waitFor();
  await page.getByText("No answer", { exact: true }).waitFor();
  await page.getByRole("heading", { level: 1, name: "How it is now is not known" }).waitFor();
  // What cannot be done is said once, however often it is tried.
  for (let i = 0; i < 3; i += 1) {
    await page.getByRole("button", { name: "Compare now" }).click();
    await page.locator(".notice.busy").waitFor({ state: "detached" });
    await told(page, /^The sidecar did not answer\.$/);
  }
  expect(await page.locator(".notice.amber").count()).toBe(1);
  const again = await folderOf(served.nodes, "", `{ listen: "127.0.0.1:${new URL(url).port}", token: "${token}" }`);
  const second = spawnTandem(["run"], again);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByText("The sidecar does not answer").waitFor({ state: "detached" });
  await served.nodes.external.admin.query("select tandem.pause_link('local', 'a test')");
  await page.getByRole("heading", { level: 1, name: "One thing needs a look" }).waitFor();
  await served.nodes.external.admin.query("select tandem.resume_link('local')");
  expect((await second.stop()).code).toBe(0);
  const other = `{ listen: "127.0.0.1:${new URL(url).port}", token: "another-token-than-before" }`;
  const third = spawnTandem(["run"], await folderOf(served.nodes, "", other));
  await told(page, /^The sidecar does not take this token any more: actions are locked\.$/);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Unlock actions" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Token").fill("another-token-than-before");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  expect((await third.stop()).code).toBe(0);
  await page.getByText("No answer", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Lock actions" }).click();
  await page.getByRole("button", { name: "Unlock actions" }).waitFor();
  expect(faults).toEqual([]);
});

test("an address that others reach shows nothing before the token", async () => {
  const { served, browser } = ready();
  const at = await folderOf(served.nodes, "", `{ listen: "0.0.0.0:0", token: "${token}" }`);
  const sidecar = spawnTandem(["run"], at);
  const url = (await urlOf(sidecar)).replace("0.0.0.0", "127.0.0.1");
  await using opened = await open(browser, url, { expected: /401/ });
  const { page, faults } = opened;
  await page.getByRole("heading", { level: 1, name: "The sidecar is locked" }).waitFor();
  expect(await page.locator("body").textContent()).not.toContain("external");
  await expectUsable(page);
  await page.locator("main").getByRole("button", { name: "Unlock actions" }).click();
  await giveToken(page);
  await page.getByRole("img", { name: /The nodes local and external/ }).waitFor();
  expect(faults).toEqual([]);
  expect((await sidecar.stop()).code).toBe(0);
});

/** How much wider a choice is than the longest of what can be chosen, and its arrow. */
function roomOf(select: HTMLElement | SVGElement): number {
  const pen = document.createElement("canvas").getContext("2d")!;
  const { font, paddingLeft, paddingRight } = getComputedStyle(select);
  pen.font = font;
  const words = [...select.querySelectorAll("option")].map(({ text }) => pen.measureText(text).width);
  return (
    select.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight) - 16 - Math.max(...words)
  );
}

type OpenPage = Awaited<ReturnType<typeof open>>["page"];

/** How light the page's ground is, 0 to 255. */
async function groundOf(page: OpenPage): Promise<number> {
  return await page.evaluate(() => {
    const [r = 0, g = 0, b = 0] = getComputedStyle(document.body).backgroundColor.match(/\d+/g)!.map(Number);
    return (r + g + b) / 3;
  });
}

/** The contrast of every text with what is behind it, by the formula of WCAG. */
async function contrastsOf(page: OpenPage): Promise<{ text: string; contrast: number }[]> {
  return await page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
    const paint = (colors: string[]) => {
      canvas.clearRect(0, 0, 1, 1);
      for (const color of colors) {
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
      }
      const [r = 0, g = 0, b = 0] = [...canvas.getImageData(0, 0, 1, 1).data].map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    for (const element of document.querySelectorAll<HTMLElement>("body *:not(svg *, .aside, .skip, :disabled)")) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim());
      if (!own || !element.checkVisibility()) continue;
      const grounds: string[] = [];
      for (let each: HTMLElement | null = element; each; each = each.parentElement) {
        grounds.unshift(getComputedStyle(each).backgroundColor);
      }
      const [ground, ink] = [paint(grounds), paint([...grounds, getComputedStyle(element).color])];
      const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
      found.push({ text: element.textContent ?? "", contrast: Math.round(contrast * 10) / 10 });
    }
    return found;
  });
}
