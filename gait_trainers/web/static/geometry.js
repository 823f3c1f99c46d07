// Meshes from which every primitive is made. A vertex is a point, its normal, and the corner it belongs to (each of the
// three -1, 0 or 1): drawn at point · size + corner · half. One ball, pulled apart at its equator and its meridians, is
// a sphere, an ellipsoid, a capsule or a box with round edges.

const STEPS = 6; // of a quarter circle

export function ball() {
  const vertices = [], indices = [];
  const columns = 4 * (STEPS + 1), rows = 2 * (STEPS + 1);
  for (let row = 0; row < rows; row++) {
    const upper = row <= STEPS;
    const latitude = (Math.PI / 2) * (upper ? 1 - row / STEPS : -(row - STEPS - 1) / STEPS);
    for (let column = 0; column < columns; column++) {
      const quarter = Math.floor(column / (STEPS + 1));
      const longitude = (Math.PI / 2) * (quarter + (column % (STEPS + 1)) / STEPS);
      const point = [
        Math.cos(latitude) * Math.cos(longitude), Math.cos(latitude) * Math.sin(longitude), Math.sin(latitude),
      ];
      const corner = [quarter === 0 || quarter === 3 ? 1 : -1, quarter < 2 ? 1 : -1, upper ? 1 : -1];
      vertices.push(...point, ...point, ...corner);
    }
  }
  for (let row = 0; row + 1 < rows; row++)
    for (let column = 0; column < columns; column++) {
      const next = (column + 1) % columns;
      const a = row * columns + column, b = row * columns + next, c = a + columns, d = b + columns;
      indices.push(a, c, b, b, c, d);
    }
  for (const [row, flipped] of [[0, false], [rows - 1, true]]) { // the flat faces at the poles
    const [a, b, c, d] = [0, 1, 2, 3].map((quarter) => row * columns + quarter * (STEPS + 1));
    indices.push(...(flipped ? [a, c, b, a, d, c] : [a, b, c, a, c, d]));
  }
  return { vertices: new Float32Array(vertices), indices: new Uint16Array(indices) };
}

export function drum() {
  const vertices = [], indices = [], around = 4 * STEPS;
  const profile = [[0, 1, 0, 1], [1, 1, 0, 1], [1, 1, 1, 0], [1, -1, 1, 0], [1, -1, 0, -1], [0, -1, 0, -1]];
  for (const [radius, end, outward, upward] of profile)
    for (let i = 0; i <= around; i++) {
      const c = Math.cos((2 * Math.PI * i) / around), s = Math.sin((2 * Math.PI * i) / around);
      vertices.push(radius * c, radius * s, 0, outward * c, outward * s, upward, 0, 0, end);
    }
  for (const ring of [0, 2, 4])
    for (let i = 0; i < around; i++) {
      const a = ring * (around + 1) + i, c = a + around + 1;
      indices.push(a, c, a + 1, a + 1, c, c + 1);
    }
  return { vertices: new Float32Array(vertices), indices: new Uint16Array(indices) };
}

const BEVEL = 0.18; // of a box's smallest half size

/** How a shape stretches its mesh: the point's factors and the corner's. */
export function stretch({ kind, size }) {
  const [a, b, c] = size;
  if (kind === "sphere") return { mesh: "ball", size: [a, a, a], half: [0, 0, 0] };
  if (kind === "capsule") return { mesh: "ball", size: [a, a, a], half: [0, 0, b] };
  if (kind === "ellipsoid") return { mesh: "ball", size: [a, b, c], half: [0, 0, 0] };
  if (kind === "cylinder") return { mesh: "drum", size: [a, a, 1], half: [0, 0, b] };
  const bevel = BEVEL * Math.min(a, b, c);
  return { mesh: "ball", size: [bevel, bevel, bevel], half: [a - bevel, b - bevel, c - bevel] };
}

/** Half sizes of the box around a shape. */
export function extent({ kind, size }) {
  const [a, b] = size;
  if (kind === "sphere") return [a, a, a];
  if (kind === "capsule") return [a, a, a + b];
  if (kind === "cylinder") return [a, a, b];
  return size;
}
