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

/** Two nodes side by side, on a phone one below the other; more of them in a ring, the first at the top. */
export function layoutOf(nodes: readonly string[], narrow: boolean): Layout {
  if (nodes.length <= 2) {
    const [width, height] = narrow ? [360, 300] : [760, 170];
    const at = (i: number): Place => {
      const share = nodes.length === 1 ? 0.5 : i;
      return narrow
        ? { x: width / 2, y: 50 + share * (height - 100) }
        : { x: 110 + share * (width - 220), y: height / 2 };
    };
    return { width, height, places: new Map(nodes.map((node, i) => [node, at(i)])) };
  }
  const [width, height] = narrow ? [360, 380] : [760, 400];
  const [radiusX, radiusY] = [width / 2 - nodeWidth / 2 - 10, height / 2 - nodeHeight / 2 - 10];
  const places = nodes.map((node, i): [string, Place] => {
    const angle = (i / nodes.length) * 2 * Math.PI - Math.PI / 2;
    return [node, { x: width / 2 + radiusX * Math.cos(angle), y: height / 2 + radiusY * Math.sin(angle) }];
  });
  return { width, height, places: new Map(places) };
}

/** A line from one node to another, a little to its right, so that the way back has its own. */
export function arrow(from: Place, to: Place): { readonly path: string; readonly label: Place } {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [dx, dy] = [(to.x - from.x) / length, (to.y - from.y) / length];
  const [sideX, sideY] = [-dy, dx];
  const start = edge(from, dx, dy, 6);
  const end = edge(to, -dx, -dy, 12);
  const shift = 13;
  const bend = 20;
  const move = (point: Place, by: number): Place => ({ x: point.x + sideX * by, y: point.y + sideY * by });
  const [a, b] = [move(start, shift), move(end, shift)];
  const middle = move({ x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 }, shift + bend);
  const path = `M${round(a.x)} ${round(a.y)} Q${round(middle.x)} ${round(middle.y)} ${round(b.x)} ${round(b.y)}`;
  const beside = 16 + 44 * Math.abs(dy);
  return { path, label: move({ x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 }, shift + bend / 2 + beside) };
}

/** Where a ray from a node's middle leaves its box, and a gap further. */
function edge({ x, y }: Place, dx: number, dy: number, gap: number): Place {
  const out = Math.min(
    dx === 0 ? Number.POSITIVE_INFINITY : nodeWidth / 2 / Math.abs(dx),
    dy === 0 ? Number.POSITIVE_INFINITY : nodeHeight / 2 / Math.abs(dy),
  );
  return { x: x + dx * (out + gap), y: y + dy * (out + gap) };
}

const round = (n: number) => Math.round(n * 10) / 10;
