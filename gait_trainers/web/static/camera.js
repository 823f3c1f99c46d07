// A camera that follows the body, and is turned, tilted and moved nearer by the viewer.

import { add, dot, subtract } from "./matrix.js";
import { extent } from "./geometry.js";

const SMOOTH = 0.25; // s, time constant of following

export class Camera {
  /** `height`: m, of what it looks at; `distance`: m */
  constructor(height, distance) {
    this.height = height;
    this.distance = distance;
    this.limits = [0.4 * distance, 6 * distance];
    this.azimuth = -0.95; // rad, from the target to the eye
    this.elevation = 0.22;
    this.target = null;
  }

  follow(place, seconds) {
    const wanted = [place[0], place[1], this.height];
    const share = this.target === null ? 1 : 1 - Math.exp(-seconds / SMOOTH);
    this.target = wanted.map((x, i) => (share === 1 ? x : this.target[i] + share * (x - this.target[i])));
  }

  turn(x, y) {
    this.azimuth -= x;
    this.elevation = Math.min(Math.max(this.elevation + y, 0.02), 1.45);
  }

  zoom(factor) {
    this.distance = Math.min(Math.max(this.distance * factor, this.limits[0]), this.limits[1]);
  }

  get eye() {
    const { azimuth, elevation, distance } = this;
    const flat = distance * Math.cos(elevation);
    return add(this.target, [flat * Math.cos(azimuth), flat * Math.sin(azimuth), distance * Math.sin(elevation)]);
  }

  /** The viewer's right and ahead on the floor, unit vectors (2) each. */
  get axes() {
    const c = Math.cos(this.azimuth), s = Math.sin(this.azimuth);
    return { right: [-s, c], ahead: [-c, -s] };
  }
}

/** Where a ray first meets one of the drawn shapes, by the boxes around them; null: nowhere. */
export function hit(shapes, eye, direction) {
  let nearest = Infinity;
  for (const shape of shapes) {
    const half = extent(shape), away = subtract(shape.place, eye);
    let near = -Infinity, far = Infinity;
    for (let axis = 0; axis < 3; axis++) {
      const column = [shape.turn[axis], shape.turn[3 + axis], shape.turn[6 + axis]];
      const middle = dot(column, away), speed = dot(column, direction) || 1e-12;
      const a = (middle - half[axis]) / speed, b = (middle + half[axis]) / speed;
      near = Math.max(near, Math.min(a, b));
      far = Math.min(far, Math.max(a, b));
    }
    if (near <= far && near > 0) nearest = Math.min(nearest, near);
  }
  return nearest === Infinity ? null : add(eye, direction.map((x) => nearest * x));
}
