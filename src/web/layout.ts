/** Where a node stands in the picture: its middle. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** A picture's measures, in the units of its drawing. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly places: ReadonlyMap<string, Place>;
}

export const nodeWidth = 150;
export const nodeHeight = 64;

/**
 * Two nodes side by side, on a phone one below the other; more of them in a ring, the first at the top, on a phone in two columns by turns:
 * there a ring has no room for what runs between its nodes.
 */
export function layoutOf(nodes: readonly string[], narrow: boolean): Layout {
  const place = nodes.length <= 2 ? (narrow ? stacked : sideBySide) : narrow ? zigzag : ring;
  const places = nodes.map((_, i) => place(i, nodes.length));
  const height = Math.max(...places.map(({ y }) => y)) + margin + nodeHeight / 2;
  return { width: narrow ? 360 : 760, height, places: new Map(nodes.map((node, i) => [node, places[i]!])) };
}

// Of the middle of an outermost node from the picture's side; below the last one a line may bend out, and has words.
const [edgeX, edgeY] = [nodeWidth / 2 + 10, nodeHeight / 2 + 10];
const margin = 26;
const rowGap = 150;

const stacked = (i: number): Place => ({ x: 180, y: edgeY + 1.3 * rowGap * i });
const sideBySide = (i: number, count: number): Place => ({ x: count === 1 ? 380 : 110 + 540 * i, y: 76 });
const zigzag = (i: number): Place => ({ x: i % 2 === 0 ? edgeX : 360 - edgeX, y: edgeY + rowGap * i });

function ring(i: number, count: number): Place {
  const angle = (i / count) * 2 * Math.PI - Math.PI / 2;
  const [radiusX, radiusY] = [380 - edgeX, 200 - edgeY];
  return { x: 380 + radiusX * Math.cos(angle), y: 200 + radiusY * Math.sin(angle) };
}

// How far a line runs beside that of the way back, and bends away from it.
const shift = 13;
const bend = 20;
// Nearer to where it comes from, so that its words are not beside those of the way back.
const labelAt = 0.4;

/** A line from one node to another, a little to its right, so that the way back has its own; and where on it its words stand. */
export function arrow(from: Place, to: Place): { readonly path: string; readonly label: Place } {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [sideX, sideY] = [-(to.y - from.y) / length, (to.x - from.x) / length];
  const beside = (point: Place, by: number): Place => ({ x: point.x + sideX * by, y: point.y + sideY * by });
  const middle = beside({ x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 }, shift + bend);
  const start = edge(from, { at: beside(from, shift), towards: middle, gap: 6 });
  const end = edge(to, { at: beside(to, shift), towards: middle, gap: 10 });
  const on = (axis: "x" | "y") =>
    (1 - labelAt) ** 2 * start[axis] + 2 * labelAt * (1 - labelAt) * middle[axis] + labelAt ** 2 * end[axis];
  const path = `M${round(start.x)} ${round(start.y)} Q${round(middle.x)} ${round(middle.y)} ${round(end.x)} ${round(end.y)}`;
  return { path, label: { x: round(on("x")), y: round(on("y")) } };
}

/** Where a ray out of a node's box leaves it, a gap around it included. */
function edge(node: Place, { at, towards, gap }: { at: Place; towards: Place; gap: number }): Place {
  const [dx, dy] = [towards.x - at.x, towards.y - at.y];
  const out = (d: number, inside: number, half: number) =>
    d === 0 ? Number.POSITIVE_INFINITY : (half + gap - Math.sign(d) * inside) / Math.abs(d);
  const by = Math.min(out(dx, at.x - node.x, nodeWidth / 2), out(dy, at.y - node.y, nodeHeight / 2));
  return { x: at.x + dx * by, y: at.y + dy * by };
}

const round = (n: number) => Math.round(n * 10) / 10;
