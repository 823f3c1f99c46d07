// The page: loads body and policy, then simulates in real time, draws, and takes commands.

import { Camera } from "./camera.js";
import { Pointer, clipChoice, commandSliders, keyboard } from "./controls.js";
import { Display } from "./display.js";
import { fetchJson } from "./files.js";
import { along } from "./matrix.js";
import { Muscles } from "./muscles.js";
import { OBSERVED, yaw } from "./observe.js";
import { Physics } from "./physics.js";
import { Policy, openNetwork } from "./policy.js";
import { Reference } from "./reference.js";
import { Renderer } from "./renderer.js";
import { Walker } from "./walker.js";

const LONGEST = 0.25; // s that a slow machine catches up in one picture; the rest is lost, and the walk is slowed down
const PAUSE = 1.5; // s on the floor before the next episode

const element = (id) => document.getElementById(id);

async function start() {
  const [body, rows] = await Promise.all([fetchJson("body.json"), fetchJson("rows.json")]);
  document.title = `${body.name} · GaitNet`;
  element("name").textContent = body.name;
  checkRows(rows);
  const size = body.start_qpos[2]; // m, height of the root: what is drawn, and how large, follows from it
  const renderer = new Renderer(element("view"), { reach: 3 * size, tile: size < 0.7 ? 0.25 : 0.5 });
  const camera = new Camera(0.75 * size, 4.2 * size);
  camera.follow(body.start_qpos, 0);
  renderer.draw(body.shapes, camera); // as Python has placed them; physics comes later
  const page = { body, renderer, camera, firstPicture: performance.now() };
  window.gaitnet = page;
  await new Promise(requestAnimationFrame);
  const clips = body.follows ? fetchJson("reference.json").then((found) => new Reference(found)) : null;
  const network = body.muscles ? openNetwork("policy/muscles.onnx", "torques", "activations") : null;
  const [physics, policy, reference] = await Promise.all([Physics.load(body), Policy.load(), clips]);
  physics.muscles = body.muscles && new Muscles(physics, body.muscles, await network);
  Object.assign(page, { physics, walker: new Walker(body, policy, physics, reference) });
  page.walker.begin();
  run(page);
  element("loading").remove();
  page.ready = performance.now();
}

/** Every row that Python believes to be known here is. */
function checkRows(rows) {
  const missing = rows.filter((name) => !(name in OBSERVED));
  if (missing.length) throw new Error(`rows.json lists ${missing}, which observe.js does not compute`);
}

/** The shapes, and muscles, where the simulation has them. */
export function placed(body, physics) {
  const { geom_xpos: at, geom_xmat: turned } = physics.data;
  const shapes = body.shapes.map((shape) => ({
    ...shape,
    place: Array.from(at.subarray(3 * shape.geom, 3 * shape.geom + 3)),
    turn: Array.from(turned.subarray(9 * shape.geom, 9 * shape.geom + 9)),
  }));
  return physics.muscles ? [...physics.muscles.shapes(), ...shapes] : shapes;
}

function run(page) {
  const asked = new URLSearchParams(location.search), paused = asked.has("paused");
  const { body, physics, renderer, camera, walker } = page;
  const display = new Display(element("numbers"));
  const state = { playing: !paused, falls: 0, fallenFor: 0, way: 0, rate: 0, pace: 1, shapes: placed(body, physics) };
  Object.assign(page, { state, display });
  walker.lag = Number(asked.get("lag") ?? 0);
  const { reference } = walker, range = walker.policy.manifest.command;
  const sliders = reference
    ? { set() {}, nudge() {} }
    : commandSliders(element("sliders"), range, (command) => (walker.wanted = command));
  page.sliders = sliders;
  sliders.set([Math.min(0.4, range.high?.[0]), 0, 0]);
  const actions = makeActions(page, sliders, display);
  if (reference) clipChoice(element("sliders"), reference, actions.reset);
  element("stand").hidden = reference !== null;
  for (const keys of document.querySelectorAll("[data-commands]")) keys.hidden = reference !== null;
  if (paused) element("pause").textContent = "resume";
  keyboard(sliders, { r: actions.reset, " ": actions.stand, p: actions.pause, h: actions.help, "?": actions.help });
  for (const name of ["reset", "stand", "pause", "help"]) element(name).addEventListener("click", actions[name]);
  const pointer = new Pointer(element("view"), renderer, camera, {
    shapes: () => state.shapes,
    push: (x, y) => physics.push(x, y),
    say: (text) => (element("said").textContent = text),
  });

  const begun = { steps: 0, time: performance.now(), simulated: 0 };
  let last = performance.now(), busy = false;

  async function frame(now) {
    requestAnimationFrame(frame);
    if (busy) return;
    busy = true;
    const seconds = Math.min((now - last) / 1000, LONGEST);
    measure(now);
    last = now;
    if (state.playing) await move(Math.max(0, seconds));
    camera.follow(walker.state.qpos, seconds);
    state.shapes = placed(body, physics);
    renderer.draw([...state.shapes, ...marks(page, pointer)], camera);
    display.show({ ...state, command: walker.memory.command, time: walker.steps * body.dt });
    busy = false;
  }

  async function move(seconds) {
    const before = walker.steps;
    const simulated = await walker.advance(seconds);
    begun.steps += walker.steps - before;
    begun.simulated += simulated;
    if (walker.steps !== before) {
      state.way = Math.hypot(walker.state.qpos[0], walker.state.qpos[1]);
      display.record(walker.steps * body.dt, walker.memory.command, walker.speed);
    }
    state.fallenFor = walker.fallen ? state.fallenFor + seconds : 0;
    if (state.fallenFor > 0 && !state.down) {
      state.down = true;
      state.falls += 1;
      element("said").textContent = "fallen";
    }
    if (state.fallenFor > PAUSE || reference?.over) actions.reset();
  }

  /** Steps a second, and how much of real time that is, once a second. */
  function measure(now) {
    const passed = (now - begun.time) / 1000;
    if (passed < 1) return;
    state.rate = begun.steps / passed;
    state.pace = begun.simulated / passed;
    if (state.playing && state.pace < 0.9) renderer.coarsen();
    Object.assign(begun, { steps: 0, time: now, simulated: 0 });
  }

  requestAnimationFrame(frame);
}

function makeActions({ walker, state, camera }, sliders, display) {
  return {
    reset() {
      walker.begin();
      display.clear();
      camera.target = null;
      Object.assign(state, { fallenFor: 0, down: false, way: 0 });
      element("said").textContent = "";
    },
    stand: () => sliders.set([0, 0, 0]),
    pause() {
      state.playing = !state.playing;
      element("pause").textContent = state.playing ? "pause" : "resume";
    },
    help: () => element("keys").toggleAttribute("hidden"),
  };
}

/** Bars on the floor for speed asked (blue) and measured (orange), and the push under way (red). */
function marks({ body, walker }, pointer) {
  const { qpos, qvel } = walker.state;
  const heading = yaw(qpos), [forward, left] = walker.memory.command;
  const c = Math.cos(heading), s = Math.sin(heading), wide = 0.018 * body.start_qpos[2];
  const bars = [
    [[c * forward - s * left, s * forward + c * left], [0.25, 0.62, 0.95, 1], 0.004],
    [[qvel[0], qvel[1]], [1, 0.6, 0.15, 1], 0.003],
  ];
  const found = bars.map(([speed, rgba, up]) => bar([qpos[0], qpos[1], up], [...speed, 0], wide, rgba)).filter(Boolean);
  if (pointer.pull) {
    const { from, x, y } = pointer.pull, arrow = bar(from, [x, y, 0], wide, [0.9, 0.15, 0.2, 1]);
    if (arrow) found.push({ ...arrow, kind: "capsule", size: [wide, arrow.size[2], 0] });
  }
  return found;
}

function bar(from, way, wide, rgba) {
  const length = Math.hypot(...way);
  if (length < 0.02) return null;
  const turn = along(way);
  const place = from.map((x, i) => x + 0.5 * way[i]);
  return { kind: "box", size: [0.002, wide, 0.5 * length], place, turn: flatwise(turn), rgba, emission: 0.5, flat: true };
}

/** The same z axis, with x upwards. */
function flatwise(turn) {
  const z = [turn[2], turn[5], turn[8]];
  return [0, -z[1], z[0], 0, z[0], z[1], 1, 0, 0];
}

start().catch((error) => {
  element("loading").textContent = location.protocol === "file:"
    ? "A browser runs this page only from a server: python -m http.server --bind 127.0.0.1, in this folder."
    : `This page cannot run: ${error.message}`;
  throw error;
});
