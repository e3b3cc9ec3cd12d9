import { usePage } from "./context.ts";
import { arrow, layoutOf, nodeHeight, nodeWidth, type Place } from "./layout.ts";
import { flows, linkStateOf } from "./link-state.ts";
import type { Link, Status } from "./types.ts";
import { useNarrow } from "./use-narrow.ts";

/** The nodes and the links between them; where rows flow it moves. */
export function Picture() {
  const { store, words, format } = usePage();
  const narrow = useNarrow();
  const { nodes, links } = store.status!;
  const { width, height, places } = layoutOf(
    nodes.map(({ node }) => node),
    narrow,
  );
  const told = links.map((link) => `${link.source} → ${link.target}: ${labelOf(link)}.`);
  function labelOf(link: Link): string {
    const state = linkStateOf(link, store.links.get(`${link.source}:${link.target}`));
    const waiting = link.pending ? `: ${format.number(link.pending)}` : "";
    return words.link.states[state] + waiting;
  }
  return (
    <svg
      class="picture"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={words.picture.describe(format.listing(nodes.map(({ node }) => node)), told.join(" "))}
    >
      <defs>
        <marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M0 0 L8 4 L0 8 Z" class="tip" />
        </marker>
        <filter id="ground" x="-4%" width="108%" y="0" height="100%">
          <feFlood class="ground" />
          <feComposite in="SourceGraphic" operator="over" />
        </filter>
      </defs>
      {links.map((link) => {
        const [from, to] = [places.get(link.source), places.get(link.target)];
        if (!from || !to) return null;
        const live = store.links.get(`${link.source}:${link.target}`);
        const { path } = arrow(from, to);
        return (
          <g key={`${link.source}:${link.target}`} class={`link ${linkStateOf(link, live)}`}>
            <path d={path} class="way" marker-end="url(#tip)" />
            {flows(link, live) && <path d={path} class="flow" />}
          </g>
        );
      })}
      {/* After all lines, so that none of them runs through a word. */}
      {links.map((link) => {
        const [from, to] = [places.get(link.source), places.get(link.target)];
        if (!from || !to) return null;
        const state = linkStateOf(link, store.links.get(`${link.source}:${link.target}`));
        const few = nodes.length <= 3;
        if (!few && (state === "inStep" || state === "standby")) return null;
        const { label } = arrow(from, to);
        return (
          <g key={`${link.source}:${link.target}`} class={`link ${state}`}>
            <text x={label.x} y={label.y} dy="0.35em" filter="url(#ground)">
              {labelOf(link)}
            </text>
          </g>
        );
      })}
      {nodes.map((node) => (
        <NodeBox key={node.node} {...node} {...places.get(node.node)!} />
      ))}
    </svg>
  );
}

const longestName = 15;

function NodeBox({ node, answered, tables, x, y }: Status["nodes"][number] & Place) {
  const { words, format } = usePage();
  const small = !answered
    ? words.picture.silent
    : tables === null
      ? ""
      : words.picture.tables(tables, format.number(tables));
  return (
    <g class={`node ${answered ? "" : "silent"}`} transform={`translate(${x - nodeWidth / 2} ${y - nodeHeight / 2})`}>
      <title>{node}</title>
      <rect width={nodeWidth} height={nodeHeight} rx="14" />
      <g class="drum" transform="translate(18 20)">
        <path d="M0 4v16c0 2.2 4.5 4 10 4s10-1.8 10-4V4" />
        <ellipse cx="10" cy="4" rx="10" ry="4" />
        <path d="M0 12c0 2.2 4.5 4 10 4s10-1.8 10-4" />
      </g>
      <text x="50" y="28" class="name">
        {node.length > longestName ? `${node.slice(0, longestName - 1)}…` : node}
      </text>
      <text x="50" y="46" class="small">
        {small}
      </text>
    </g>
  );
}
