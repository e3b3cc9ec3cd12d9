import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { usePage } from "./context.ts";
import type { Format } from "./format.ts";

/** How the numbers of a chart are written, and by which steps they go up at its side. */
export interface Scale {
  readonly steps?: number[];
  /** At the side there is room for a few characters. */
  side(n: number, format: Format): string;
  value(n: number, format: Format): string;
}

interface ChartProps {
  readonly title: string;
  /** What is drawn, in words. */
  readonly told: string;
  readonly names: readonly string[];
  /** Seconds since 1970. */
  readonly x: readonly number[];
  readonly series: readonly (readonly number[])[];
  readonly scale: Scale;
}

/** Lines over time, one for each name. */
export function Chart({ title, told, names, x, series, scale }: ChartProps) {
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
      const options = optionsOf(element, { names, format, scale, time: words.history.time });
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
  }, [names.join(), format, theme, scale]);
  const shape = `${x[0]} ${x.length} ${JSON.stringify(series)}`;
  useEffect(() => plot.current?.setData(latest.current), [shape]);
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <div ref={frame} class="chart" role="img" aria-label={`${title}. ${told}`} />
    </figure>
  );
}

const chartHeight = 180;

function optionsOf(
  element: HTMLElement,
  { names, format, scale, time }: Pick<ChartProps, "names" | "scale"> & { format: Format; time: string },
): uPlot.Options {
  const style = getComputedStyle(element);
  // The value of a custom property is its text: only a colour that is in use is worked out.
  const probe = (name: string) => {
    element.style.setProperty("outline-color", `var(${name})`);
    const color = style.outlineColor;
    element.style.removeProperty("outline-color");
    return color;
  };
  const tag = format.locale === "en" ? "en-GB" : format.locale;
  const clock = new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat(tag, { day: "numeric", month: "short" });
  const momentOf = (at: number) => format.moment(new Date(at * 1_000).toISOString(), Date.now());
  const axis = { stroke: probe("--muted"), grid: { stroke: probe("--line"), width: 1 }, ticks: { show: false } };
  const font = `12px ${style.fontFamily}`;
  return {
    width: element.clientWidth,
    height: chartHeight,
    cursor: { drag: { x: false, y: false } },
    // While nobody points at a moment, the names stand with the newest one.
    hooks: {
      setLegend: [
        (plot) => {
          const newest = plot.data[0].length - 1;
          if (plot.cursor.idx == null && newest >= 0) plot.setLegend({ idx: newest }, false);
        },
      ],
    },
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
      {
        ...axis,
        font,
        size: 60,
        ...(scale.steps && { incrs: scale.steps }),
        values: (_, splits) => splits.map((n) => scale.side(n, format)),
      },
    ],
    series: [
      { label: time, value: (_, at) => (at === null ? "" : momentOf(at)) },
      ...names.map((label, i) => ({
        label,
        stroke: probe(`--line-${(i % 6) + 1}`),
        width: 1.5,
        points: { show: false },
        value: (_: uPlot, n: number | null) => (n === null ? "" : scale.value(n, format)),
      })),
    ],
  };
}
