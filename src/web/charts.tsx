import { Chart, type Scale } from "./chart.tsx";
import { type Extent, extentOf, type Minute, seriesOf } from "./chart-data.ts";
import { usePage } from "./context.ts";
import { Unread } from "./list-section.tsx";
import type { Throughput } from "./types.ts";

const ranges = [
  [60, "hour"],
  [1_440, "day"],
  [10_080, "week"],
] as const;

/** What the links carried, and how far behind they were. */
export function Charts() {
  const { store, words } = usePage();
  const { history: said } = words;
  const { throughput } = store.lists;
  const failure = store.failures.throughput;
  if ((store.status?.nodes.length ?? 0) < 2) return null;
  return (
    <section id="history" class="card" aria-labelledby="history-title">
      <div class="title">
        <h2 id="history-title">{said.title}</h2>
        <fieldset class="choice" aria-label={said.range}>
          {ranges.map(([minutes, name]) => (
            <button
              key={name}
              type="button"
              aria-pressed={store.minutes === minutes}
              onClick={() => store.showMinutes(minutes)}
            >
              {said[name]}
            </button>
          ))}
        </fieldset>
      </div>
      {failure !== undefined && <Unread text={words.list.failed} original={failure} />}
      {throughput?.unanswered.map(({ node, error }) => (
        <Unread key={node} text={words.list.unanswered(node)} original={error.message} />
      ))}
      {throughput ? <Past links={throughput.links} /> : <p class="small">{words.verdict.waiting}</p>}
    </section>
  );
}

/** A sentence, and the two charts; each says in words what it draws, for those who do not see it. */
function Past({ links }: Pick<Throughput, "links">) {
  const { store, words, format, now } = usePage();
  const { history: said } = words;
  const data = seriesOf(links, store.minutes, Math.floor(now / 60_000));
  const all = extentOf(links.flatMap(({ minutes }) => minutes));
  const own = links.map(({ source, target, minutes }) => ({ name: `${source} → ${target}`, ...extentOf(minutes) }));
  const names = own.map(({ name }) => name);
  const describe = (say: (link: Extent & { name: string }) => string) =>
    own.map((link) => (link.rows === 0 ? said.linkNone(link.name) : say(link))).join(" ");
  const when = (minute: Minute | null) => (minute === null ? "" : format.moment(minute.minute, now));
  const behind = ({ latest }: Extent) => format.took(latest?.behindMs ?? 0);
  return (
    <>
      <p class="small">
        {all.rows === 0 ? said.none : said.sum(format.number(all.rows), behind(all), when(all.latest))}
      </p>
      {links.length > 0 && (
        <div class="charts">
          <Chart
            title={data.step === 1 ? said.rows : said.rowsMean(format.number(data.step))}
            told={describe((link) =>
              said.linkRows(
                link.name,
                format.number(link.rows),
                format.number(link.busiest?.rows ?? 0),
                when(link.busiest),
              ),
            )}
            names={names}
            x={data.x}
            series={data.rows}
            scale={rowsScale}
          />
          <Chart
            title={said.lag}
            told={describe((link) => said.linkLag(link.name, behind(link), when(link.latest)))}
            names={names}
            x={data.x}
            series={data.lag}
            scale={lagScale}
          />
        </div>
      )}
    </>
  );
}

const rowsScale: Scale = { side: (n, format) => format.short(n), value: (n, format) => format.tenths(n) };

// Steps of a clock: of 50,000 seconds nobody knows how long they are.
const lagSteps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600];
const dayS = 86_400;
const lagScale: Scale = {
  steps: [...lagSteps, 43_200, dayS, 2 * dayS, 5 * dayS, 10 * dayS, 50 * dayS, 100 * dayS, 500 * dayS],
  side: (s, format) => (s === 0 ? "0" : format.took(s * 1_000)),
  value: (s, format) => format.took(s * 1_000),
};
