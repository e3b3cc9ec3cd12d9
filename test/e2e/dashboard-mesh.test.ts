import type { Locator } from "playwright-core";
import { expect, test, vi } from "vitest";
import type { Admin } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { expectUsable, giveToken, open, type Reader, shot, showOnce, silence, tabTo } from "./dashboard-support.ts";
import { pauseLink, serve } from "./http-support.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const table = "create table artist (id int primary key, name text)";
const ready = showOnce(() => serve(table, "", 3));
const phone: Reader = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const readers = { window: {}, phone };
const calm = {
  "external local": "In step",
  "external n3": "In step",
  "local external": "In step",
  "local n3": "In step",
  "n3 external": "In step",
  "n3 local": "In step",
};

test("a mesh of three: every node and link in the picture, and in the lines below it", async () => {
  const { served, browser } = ready();
  for (const reader of Object.values(readers)) {
    await using opened = await open(browser, served.url, reader);
    const { page, faults } = opened;
    const picture = page.getByRole("img", { name: /^The nodes local, external and n3\./ });
    await says(picture, calm);
    const { nodes, links } = await drawn(picture);
    expect(nodes).toEqual({ local: "1 table", external: "1 table", n3: "1 table" });
    expect(links).toEqual(Object.fromEntries(Object.keys(calm).map((way) => [way, "solid, In step"])));
    for (const way of Object.keys(calm).map((each) => each.replace(" ", " to "))) {
      await page.getByRole("button", { name: `Pause the link from ${way}` }).waitFor();
    }
    await expectUsable(page);
    expect(faults).toEqual([]);
  }
});

test("what rests and what fails is told without colour; a link is paused and resumed by keyboard, the others go on", async () => {
  const { served, browser } = ready();
  const [local, external, n3] = served.nodes.nodes.map(({ admin }) => admin) as [Admin, Admin, Admin];
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  await tabTo(page, "Pause the link from external to local");
  await page.keyboard.press("Enter");
  await giveToken(page);
  await page.getByText(/external → local is paused since/).waitFor();
  await refuse(external, "n3");
  await n3.query("insert into artist values (1, 'Elis Regina')");
  await external.query("insert into artist values (2, 'Gal Costa')");
  await waitFor(async () => (await local.value("select name from artist where id = 1")) === "Elis Regina");
  await waitFor(async () => (await n3.value("select name from artist where id = 2")) === "Gal Costa");
  const trouble = { ...calm, "external local": "Paused: 1", "n3 external": "Failing: 1" };
  for (const [name, reader] of Object.entries(readers)) {
    await using another = await open(browser, served.url, reader);
    const picture = another.page.getByRole("img", { name: /^The nodes local, external and n3\./ });
    await says(picture, trouble);
    const { links } = await drawn(picture);
    expect(links).toMatchObject({
      "external local": "dashed, Paused: 1",
      "n3 external": "dashed, Failing: 1",
      "external n3": "solid, In step",
    });
    await expectUsable(another.page);
    // What the sidecar names to be typed is shown so.
    expect(await another.page.locator(".sentences").textContent()).not.toContain("`");
    // The sentences are all there: nothing moves any more.
    await another.page.locator(".sentences").getByText("No backup yet").waitFor();
    await picture.evaluate((svg) => svg.scrollIntoView({ block: "center", behavior: "instant" }));
    await shot(another.page, `mesh-${name}`);
    expect(another.faults).toEqual([]);
  }
  expect(await local.value("select count(*)::text from artist where id = 2")).toBe("0");
  await external.query("drop trigger refuse on tandem.inbound");
  await tabTo(page, "Resume the link from external to local");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  for (const node of [local, external, n3])
    await waitFor(async () => (await node.value("select count(*)::text from artist")) === "2");
  expect(faults).toEqual([]);
});

test("a node that does not answer is told without colour, and its links by the words of what is not known", async () => {
  const { served, browser } = ready();
  await using opened = await open(browser, served.url);
  const { page, faults } = opened;
  const picture = page.getByRole("img", { name: /^The nodes local, external and n3\./ });
  await says(picture, calm);
  {
    await using _ = await silence(served.nodes.node("n3"));
    await picture.locator(".node.silent").getByText("no answer").waitFor();
    const silent = picture.locator(".node.silent rect");
    expect(await silent.evaluate((box) => getComputedStyle(box).strokeDasharray)).not.toBe("none");
    await waitFor(async () => {
      const { links } = await drawn(picture);
      return ["local n3", "external n3", "n3 local", "n3 external"].every((way) =>
        /^dashed, \w/.test(links[way] ?? ""),
      );
    });
    expect((await drawn(picture)).links).toMatchObject({ "local external": "solid, In step" });
  }
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  await says(picture, calm);
  expect(faults).toEqual([]);
});

test("a chain of four: only the links there are, with words only where one needs a look", async () => {
  const { browser } = ready();
  const served = await serve(table, "links: [[local, external], [external, n3], [n3, n4]]\n", 4);
  const [local, , , n4] = served.nodes.nodes.map(({ admin }) => admin) as [Admin, Admin, Admin, Admin];
  await local.query("insert into artist values (1, 'Elis Regina')");
  await waitFor(async () => (await n4.value("select name from artist")) === "Elis Regina", { deadlineMs: 120_000 });
  await pauseLink(served, "external", "n3");
  await local.query("insert into artist values (2, 'Gal Costa')");
  for (const reader of Object.values(readers)) {
    await using opened = await open(browser, served.url, reader);
    const { page, faults } = opened;
    const picture = page.getByRole("img", { name: /^The nodes local, external, n3 and n4\./ });
    await says(picture, { "local external": "In step", "external n3": "Paused: 1", "n3 n4": "In step" });
    expect((await drawn(picture)).links).toEqual({
      "external local": "solid, ",
      "external n3": "dashed, Paused: 1",
      "local external": "solid, ",
      "n3 external": "solid, ",
      "n3 n4": "solid, ",
      "n4 n3": "solid, ",
    });
    await page.getByText(/1 change waiting for n3, for /).waitFor();
    await expectUsable(page);
    expect(faults).toEqual([]);
  }
});

/** Waits until the picture says of each link, by `source target`, how it is. */
async function says(picture: Locator, states: Record<string, string>): Promise<void> {
  const sentences = Object.entries(states).map(([way, state]) => `${way.replace(" ", " → ")}: ${state}.`);
  const text = async () => (await picture.getAttribute("aria-label")) ?? "";
  const all = async () => {
    const said = await text();
    return sentences.every((sentence) => said.includes(sentence));
  };
  await waitFor(all, { deadlineMs: 120_000, what: text });
}

interface Drawn {
  /** By name: the words in its box. */
  readonly nodes: Record<string, string>;
  /** By the names of the boxes at which its line begins and ends: how the line is drawn, and its words. */
  readonly links: Record<string, string>;
}

/** What the eye sees, by the places of what is drawn; no box and no word may stand on another one, or beyond the frame. */
async function drawn(picture: Locator): Promise<Drawn> {
  const { faults, ...seen } = await picture.evaluate((svg) => {
    const frame = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll(".node")].map((node) => ({
      name: node.querySelector(".name")!.textContent ?? "",
      words: node.querySelector(".small")!.textContent ?? "",
      at: node.querySelector("rect")!.getBoundingClientRect(),
    }));
    const apart = (x: number, y: number, { left, right, top, bottom }: DOMRect) =>
      Math.hypot(Math.max(left - x, x - right, 0), Math.max(top - y, y - bottom, 0));
    const faults: string[] = [];
    const lines = [...svg.querySelectorAll<SVGPathElement>(".link .way")].map((way) => {
      const length = way.getTotalLength();
      const points = Array.from({ length: 101 }, (_, i) =>
        way.getPointAtLength((length * i) / 100).matrixTransform(way.getScreenCTM()!),
      );
      const ends = [points[0]!, points.at(-1)!].map(({ x, y }) => {
        const [near] = boxes.map(({ name, at }) => ({ name, far: apart(x, y, at) })).sort((a, b) => a.far - b.far);
        // Nearer, the tip would lie in the box; farther, it would point at nothing.
        if (!near || near.far < 2 || near.far > 15) faults.push(`a line ends ${near?.far} from ${near?.name}`);
        return near?.name;
      });
      const dash = getComputedStyle(way).strokeDasharray === "none" ? "solid" : "dashed";
      return { name: ends.join(" "), dash, points, words: "" };
    });
    // Words belong to the line whose course their middle is nearest to.
    for (const text of svg.querySelectorAll(".link text")) {
      const { x, y, width, height } = text.getBoundingClientRect();
      const far = (points: readonly DOMPoint[]) =>
        Math.min(...points.map((point) => Math.hypot(point.x - x - width / 2, point.y - y - height / 2)));
      const [line] = lines.map((each) => ({ each, far: far(each.points) })).sort((a, b) => a.far - b.far);
      if (!line || line.far > 5) faults.push(`${text.textContent} stands ${line?.far} from ${line?.each.name}`);
      if (line) line.each.words += text.textContent;
    }
    const links = lines.map(({ name, dash, words }) => [name, `${dash}, ${words}`]);
    const solid = [
      ...boxes.map(({ name, at }) => ({ name, at })),
      ...[...svg.querySelectorAll(".link text")].map((one) => ({
        name: one.textContent ?? "",
        at: one.getBoundingClientRect(),
      })),
    ];
    for (const [i, { name, at }] of solid.entries()) {
      if (at.left < frame.left || at.right > frame.right || at.top < frame.top || at.bottom > frame.bottom)
        faults.push(`${name} is beyond the frame`);
      for (const other of solid.slice(i + 1)) {
        const beside = at.right <= other.at.left || other.at.right <= at.left;
        if (!beside && at.bottom > other.at.top && other.at.bottom > at.top)
          faults.push(`${name} stands on ${other.name}`);
      }
    }
    const nodes = Object.fromEntries(boxes.map(({ name, words }) => [name, words]));
    return { faults, nodes, links: Object.fromEntries(links) as Record<string, string> };
  });
  expect(faults).toEqual([]);
  return seen;
}

/** Has a node's writes of what a peer sends fail, as a whole. */
async function refuse(admin: Admin, peer: string): Promise<void> {
  await admin.query(`
    create or replace function refuse() returns trigger language plpgsql as $$
    begin
      if new.rows_applied > old.rows_applied and exists (select from tandem.peer p where p.peer_id = new.peer_id and p.name = '${peer}')
      then raise exception 'refused for a test'; end if;
      return new;
    end $$;
    create trigger refuse before update on tandem.inbound for each row execute function refuse();
    alter table tandem.inbound enable always trigger refuse`);
}
