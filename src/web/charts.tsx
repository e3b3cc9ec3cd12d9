import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { seriesOf } from "./chart-data.ts";
import { usePage } from "./context.ts";

const ranges = [
  [60, "hour"],
  [1_440, "day"],
  [10_080, "week"],
] as const;

/** What the links carried, and how far behind they were. */
export function Charts() {
  const { store, words, format, now } = usePage();
  const { history: said } = words;
  const { links = [] } = store.lists.throughput ?? {};
  if ((store.status?.nodes.length ?? 0) < 2) return null;
  const data = seriesOf(links, store.minutes, Math.floor(now / 60_000));
  const rows = links.reduce((sum, { minutes }) => sum + minutes.reduce((all, each) => all + each.rows, 0), 0);
  const lag = Math.max(0, ...links.flatMap(({ minutes }) => minutes.map(({ behindMs }) => behindMs)));
  const names = links.map(({ source, target }) => `${source} → ${target}`);
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
              onClick={() => {
                store.minutes = minutes;
                store.refresh();
              }}
            >
              {said[name]}
            </button>
          ))}
        </fieldset>
      </div>
      <p class="small">{rows === 0 ? said.none : said.sum(format.number(rows), format.duration(lag))}</p>
      {links.length > 0 && (
        <div class="charts">
          <Chart title={said.rows} names={names} x={data.x} series={data.rows} />
          <Chart title={said.lag} names={names} x={data.x} series={data.lag} />
        </div>
      )}
    </section>
  );
}

interface ChartProps {
  readonly title: string;
  readonly names: readonly string[];
  /** Seconds since 1970. */
  readonly x: readonly number[];
  readonly series: readonly (readonly number[])[];
}

function Chart({ title, names, x, series }: ChartProps) {
  const { format, words, theme } = usePage();
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = [x, ...series] as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const element = frame.current!;
    const make = () => {
      plot.current?.destroy();
      const options = optionsOf(element, { names, locale: format.locale, time: words.history.time });
      plot.current = new uPlot(options, latest.current, element);
    };
    make();
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: chartHeight }),
    );
    resized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    return () => {
      dark.removeEventListener("change", make);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
    // A canvas keeps its colours and words: with others it is made anew.
  }, [names.join(), format, theme]);
  const shape = `${x[0]} ${x.length} ${JSON.stringify(series)}`;
  useEffect(() => plot.current?.setData(latest.current), [shape]);
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <div ref={frame} class="chart" />
    </figure>
  );
}

const chartHeight = 180;

function optionsOf(
  element: HTMLElement,
  { names, locale, time }: { readonly names: readonly string[]; readonly locale: string; readonly time: string },
): uPlot.Options {
  const style = getComputedStyle(element);
  // The value of a custom property is its text: only a colour that is in use is worked out.
  const probe = (name: string) => {
    element.style.setProperty("outline-color", `var(${name})`);
    const color = style.outlineColor;
    element.style.removeProperty("outline-color");
    return color;
  };
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const tag = locale === "en" ? "en-GB" : locale;
  const clock = new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat(tag, { day: "numeric", month: "short" });
  const axis = { stroke: probe("--muted"), grid: { stroke: probe("--line"), width: 1 }, ticks: { show: false } };
  const font = `12px ${style.fontFamily}`;
  return {
    width: element.clientWidth,
    height: chartHeight,
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [
      {
        ...axis,
        font,
        values: (_, splits) =>
          splits.map((at) => {
            const date = new Date(at * 1_000);
            return date.getHours() + date.getMinutes() === 0 ? day.format(date) : clock.format(date);
          }),
      },
      { ...axis, font, size: 56, values: (_, splits) => splits.map((n) => number.format(n)) },
    ],
    series: [
      { label: time, value: (_, at) => (at === null ? "" : clock.format(new Date(at * 1_000))) },
      ...names.map((label, i) => ({
        label,
        stroke: probe(`--line-${(i % 6) + 1}`),
        width: 1.5,
        points: { show: false },
        value: (_: uPlot, n: number | null) => (n === null ? "" : number.format(n)),
      })),
    ],
  };
}
