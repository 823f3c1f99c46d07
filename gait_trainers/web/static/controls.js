// What the viewer does: commands by sliders and keys, pushes and the camera by mouse or touch.

import { hit } from "./camera.js";

const STEP = [0.1, 0.05, 0.1]; // of a key press: m/s, m/s, rad/s
const PUSH = 0.008; // m/s of a push for a pixel that the mouse is dragged
export const HARDEST = 1.2; // m/s
const KEYS = {
  w: [0, 1], arrowup: [0, 1], s: [0, -1], arrowdown: [0, -1], q: [1, 1], e: [1, -1],
  a: [2, 1], arrowleft: [2, 1], d: [2, -1], arrowright: [2, -1],
};

/** Sliders of the command within the policy's range; `changed` is called with the three numbers. */
export function commandSliders(element, { low, high }, changed) {
  const rows = [["forward", "m/s"], ["left", "m/s"], ["turn", "rad/s"]].map(([name, unit], i) => {
    const row = document.createElement("label");
    row.className = "slider";
    row.innerHTML = `<span>${name}</span><input type="range" step="0.01" aria-label="${name}, ${unit}"><output></output>`;
    const [input, output] = [row.children[1], row.children[2]];
    Object.assign(input, { min: low[i], max: high[i], disabled: low[i] === high[i] });
    input.addEventListener("input", () => set(i, Number(input.value)));
    element.append(row);
    return { input, output, unit };
  });
  const command = [0, 0, 0];
  function set(i, value) {
    command[i] = Math.min(Math.max(value, low[i]), high[i]);
    rows[i].input.value = command[i];
    rows[i].output.textContent = `${command[i].toFixed(2)} ${rows[i].unit}`;
    changed([...command]);
  }
  return {
    set: (values) => values.forEach((value, i) => set(i, value)),
    nudge: (i, sign) => set(i, Math.round((command[i] + sign * STEP[i]) / STEP[i]) * STEP[i]),
  };
}

/** Which clip is followed; `changed` is called once it is another. */
export function clipChoice(element, reference, changed) {
  const row = document.createElement("label");
  row.className = "slider";
  row.innerHTML = "<span>clip</span><select></select>";
  row.lastChild.append(...reference.clips.map(({ name }, i) => new Option(name, i)));
  row.lastChild.value = reference.number;
  row.lastChild.addEventListener("change", (event) => {
    reference.begin(Number(event.target.value));
    changed();
  });
  element.append(row);
}

/** Keys of the keyboard; `actions`: what single keys do beside the commands. */
export function keyboard(sliders, actions) {
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (KEYS[key]) sliders.nudge(...KEYS[key]);
    else if (actions[key] && !event.repeat) actions[key]();
    else return;
    event.preventDefault();
  });
}

/** Drags: from the body a push, elsewhere the camera's turn; two fingers or the wheel zoom. */
export class Pointer {
  /** `shapes()`: what is drawn; `push(x, y)`: m/s; `say(text)` of a push under way */
  constructor(canvas, renderer, camera, { shapes, push, say }) {
    Object.assign(this, { renderer, camera, shapes, push, say });
    this.down = new Map(); // pointers that touch, by id
    this.pull = null; // a push under way: { from, x, y } in the world
    canvas.addEventListener("pointerdown", (event) => this.begin(event, canvas));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.end(event));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      camera.zoom(Math.exp(event.deltaY * 0.001));
    }, { passive: false });
  }

  begin(event, canvas) {
    canvas.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, { x: event.offsetX, y: event.offsetY, x0: event.offsetX, y0: event.offsetY });
    const direction = this.renderer.ray(this.camera, event.offsetX, event.offsetY);
    const from = this.down.size === 1 ? hit(this.shapes(), this.camera.eye, direction) : null;
    this.pull = from && { from, x: 0, y: 0 };
  }

  move(event) {
    const pointer = this.down.get(event.pointerId);
    if (!pointer) return;
    const [x, y] = [event.offsetX - pointer.x, event.offsetY - pointer.y];
    const before = this.spread();
    Object.assign(pointer, { x: event.offsetX, y: event.offsetY });
    if (this.down.size === 2) this.camera.zoom(before / (this.spread() || 1));
    else if (this.pull) this.aim(event.offsetX - pointer.x0, pointer.y0 - event.offsetY);
    else this.camera.turn(0.006 * x, 0.006 * y);
  }

  /** Pixels rightward and upward of the drag so far, as a push on the floor. */
  aim(right, up) {
    const axes = this.camera.axes;
    const speed = [0, 1].map((i) => PUSH * (right * axes.right[i] + up * axes.ahead[i]));
    const size = Math.hypot(...speed), share = Math.min(1, HARDEST / (size || 1));
    [this.pull.x, this.pull.y] = speed.map((v) => v * share);
    this.say(`push ${Math.min(size, HARDEST).toFixed(2)} m/s`);
  }

  end(event) {
    this.down.delete(event.pointerId);
    if (this.pull && event.type === "pointerup") this.push(this.pull.x, this.pull.y);
    this.pull = null;
    this.say("");
  }

  spread() {
    const [a, b] = [...this.down.values()];
    return b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }
}
