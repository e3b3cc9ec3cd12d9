import type { Locator } from "playwright-core";
import { expect, test, vi } from "vitest";
import type { Admin } from "../support/pg.ts";
import { expectUsable, open, section, shot, showOnce, silence } from "./dashboard-support.ts";
import { serve } from "./http-support.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const dayMs = 86_400_000;
// Noon in UTC, so that the day has one name, and what is three days old stays in the week.
const peakAt = new Date(Math.floor(Date.now() / dayMs) * dayMs - 3 * dayMs + dayMs / 2);
const peakDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" }).format(peakAt);

/** Six days: 20 rows every tenth minute, but for three hours of an outage, at the middle of which the link was three hours behind. */
const ready = showOnce(async () => {
  const served = await serve("create table artist (id int primary key, name text)");
  const { local, external } = served.nodes;
  await remember(
    external.admin,
    `select at, 20, interval '400 milliseconds' from generate_series(now() - interval '6 days', now() - interval '2 hours', '10 minutes') at
    where at not between $1::timestamptz - interval '2 hours' and $1::timestamptz + interval '2 hours'`,
  );
  await remember(
    external.admin,
    `select at, 12000, interval '150 minutes' from generate_series($1::timestamptz - interval '90 minutes', $1::timestamptz + interval '90 minutes', '1 minute') at`,
  );
  await external.admin.query(
    "update tandem.throughput set rows = 1200000, behind = interval '3 hours' where minute = $1",
    [peakAt.toISOString()],
  );
  await remember(
    local.admin,
    "select now() - interval '5 hours' + interval '0' * extract(epoch from $1::timestamptz), 7, interval '90 seconds'",
  );
  return served;
});

/** Puts minutes into a node's history of its one peer. */
async function remember(admin: Admin, minutes: string): Promise<void> {
  const select = `select p.peer_id, date_trunc('minute', m.at), m.rows, m.behind from tandem.peer p, (${minutes}) m (at, rows, behind)`;
  await admin.query(`insert into tandem.throughput (peer_id, minute, rows, behind) ${select}`, [peakAt.toISOString()]);
}

test("a week of history: in a sentence, in words for those who do not see, and in lines that are high where it was much", async () => {
  const { served, browser } = ready();
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  const history = section(page, "Lag and throughput");
  const charts = history.getByRole("img");
  await history.getByText("Nothing was carried in this time.").waitFor();
  await charts.filter({ visible: true }).first().waitFor();
  expect(await labelsOf(history)).toEqual([
    "Rows carried per minute. local → external: nothing carried. external → local: nothing carried.",
    "How far behind. local → external: nothing carried. external → local: nothing carried.",
  ]);
  await history.getByRole("button", { name: "7 days" }).press("Enter");
  expect(await history.getByRole("button", { name: "7 days" }).getAttribute("aria-pressed")).toBe("true");
  await history.getByText(`rows in all; at most 3 h behind (${peakDay}, 12:00).`).waitFor();
  const [rows, lag] = (await labelsOf(history)) as [string, string];
  const sum = await carriedInto(served.nodes.external.admin);
  const back = "external → local: 7 rows, at most 7 in a minute (";
  expect(rows).toContain(
    `Rows carried per minute, mean of 14 minutes. local → external: ${sum} rows, at most 1,200,000 in a minute (${peakDay}, 12:00). ${back}`,
  );
  expect(lag).toContain(
    `How far behind. local → external: at most 3 h (${peakDay}, 12:00). external → local: at most 90 s (`,
  );
  const week = { from: Date.now() - 7 * dayMs, to: Date.now() };
  for (const chart of await charts.all()) {
    const { at, ink } = await highest(chart);
    expect(ink).toBeGreaterThan(100);
    expect(Math.abs(week.from + at * (week.to - week.from) - peakAt.getTime())).toBeLessThan(3 * 3_600_000);
  }
  // While nobody points, the names have the newest values, and no name stands alone.
  for (const chart of await charts.all()) {
    const values = await chart.locator(".u-legend .u-value").allTextContents();
    expect(values).toEqual([
      expect.stringMatching(/\d\d:\d\d$/),
      expect.stringMatching(/\d/),
      expect.stringMatching(/\d/),
    ]);
  }
  // Who points at it is told the day too.
  await charts.nth(1).scrollIntoViewIfNeeded();
  const over = (await charts.nth(1).locator(".u-over").boundingBox())!;
  await page.mouse.move(over.x + (over.width * (peakAt.getTime() - week.from)) / (7 * dayMs), over.y + 40);
  await charts
    .nth(1)
    .locator(".u-legend")
    .getByText(new RegExp(`^${peakDay}, 1[12]:`))
    .waitFor();
  await charts
    .nth(1)
    .locator(".u-legend")
    .getByText(/^(150 min|2 h|3 h)$/)
    .waitFor();
  await page.mouse.move(0, 0);
  await charts.nth(1).locator(".u-legend").getByText(peakDay).waitFor({ state: "detached" });
  expect(await charts.nth(1).locator(".u-legend .u-value").first().textContent()).toMatch(/\d\d:\d\d$/);
  await expectUsable(page);
  await shot(page, "history");
  expect(faults).toEqual([]);
});

test("a day on a phone, in Portuguese; a node that cannot be asked is named, and what it knows is not taken for nothing", async () => {
  const { served, browser } = ready();
  const viewport = { width: 360, height: 740 };
  await using opened = await open(browser, served.url, { locale: "pt-BR", viewport, isMobile: true, hasTouch: true });
  const { page, faults } = opened;
  const history = section(page, "Atraso e volume");
  await history.getByRole("button", { name: "24 horas" }).tap();
  await history.getByText(/ linhas ao todo; no máximo 90 s de atraso \(/).waitFor();
  const [rows, lag] = await labelsOf(history);
  expect(rows).toContain("Linhas levadas por minuto, média de 2 minutos. local → external: ");
  expect(rows).toContain("external → local: 7 linhas, no máximo 7 em um minuto (");
  expect(lag).toContain("Atraso. local → external: no máximo 400 ms (");
  await history.scrollIntoViewIfNeeded();
  await shot(page, "history-phone");
  await expectUsable(page);
  {
    await using _ = await silence(served.nodes.external);
    await history.getByText("external não pôde ser consultado.").waitFor();
    await history.getByText(/^7 linhas ao todo; no máximo 90 s de atraso \(/).waitFor();
    expect((await labelsOf(history))[0]).not.toContain("local → external");
    await expectUsable(page);
  }
  await history.getByText("external não pôde ser consultado.").waitFor({ state: "detached" });
  await page.getByRole("heading", { level: 1, name: "Está tudo bem" }).waitFor();
  expect(faults).toEqual([]);
});

/** What the charts say to those who do not see them. */
async function labelsOf(history: Locator): Promise<(string | null)[]> {
  return await Promise.all((await history.getByRole("img").all()).map((chart) => chart.getAttribute("aria-label")));
}

/** All rows that one node remembers, as the page writes numbers. */
async function carriedInto(admin: Admin): Promise<string> {
  return Number(await admin.value("select sum(rows)::text from tandem.throughput")).toLocaleString("en");
}

/** Where the first line of a chart stands highest, as a share of its width, and how many of its points are of that line's colour. */
async function highest(chart: Locator): Promise<{ at: number; ink: number }> {
  return await chart.evaluate((frame) => {
    const canvas = frame.querySelector("canvas")!;
    const over = frame.querySelector(".u-over")!.getBoundingClientRect();
    const [left, scale] = [over.left - canvas.getBoundingClientRect().left, devicePixelRatio];
    const mark = frame.querySelectorAll<HTMLElement>(".u-marker")[1]!;
    const [r = 0, g = 0, b = 0] = getComputedStyle(mark).borderTopColor.match(/\d+/g)!.map(Number);
    const { data, width } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    let [first, ink] = [-1, 0];
    for (let i = 0; i < data.length; i += 4) {
      const far = Math.abs(data[i]! - r) + Math.abs(data[i + 1]! - g) + Math.abs(data[i + 2]! - b);
      if (far > 60 || data[i + 3]! < 120) continue;
      if (first < 0) first = (i / 4) % width;
      ink += 1;
    }
    return { at: (first / scale - left) / over.width, ink };
  });
}
