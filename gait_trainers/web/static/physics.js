// The body's simulation: MuJoCo's WebAssembly build, one model and one state.
//
// Arrays of `model` and `data` are views of WebAssembly memory, which may move: ask for them again, do not keep them.

import { fetchText, unpacked } from "./files.js";

const FOLDER = "/model";

export class Physics {
  /** Compile the page's model: MJCF files first, then the numbers that Python changed after it had compiled them. */
  static async load(body) {
    const [mujoco, texts] = await Promise.all([
      Promise.all([import("./vendor/mujoco.js"), unpacked("vendor/mujoco.wasm.gz")]).then(([module, wasmBinary]) =>
        module.default({ wasmBinary }),
      ),
      Promise.all(body.model.files.map(async (name) => [name, await fetchText(`model/${name}`)])),
    ]);
    mujoco.FS.mkdir(FOLDER);
    for (const [name, text] of texts) mujoco.FS.writeFile(`${FOLDER}/${name}`, text);
    const model = mujoco.MjModel.mj_loadXML(`${FOLDER}/${body.model.scene}`);
    for (const [name, value] of Object.entries(body.model.edits)) edit(model, name, value);
    return new Physics(mujoco, model, body);
  }

  constructor(mujoco, model, body) {
    this.mujoco = mujoco;
    this.model = model;
    this.body = body;
    this.data = new mujoco.MjData(model);
    this.version = mujoco.mj_versionString();
  }

  /** Start afresh: no warm start, servos at the pose, sensors at the new state. */
  reset(qpos, qvel = null) {
    const { mujoco, model, data, body } = this;
    mujoco.mj_resetData(model, data);
    data.qpos.set(qpos);
    if (qvel) data.qvel.set(qvel);
    this.aim(qpos.slice(7).map((angle, i) => Math.min(Math.max(angle, body.lower_rad[i]), body.upper_rad[i])));
    mujoco.mj_forward(model, data);
  }

  /** The target angles of all joints, rad; servos take theirs at once, muscles before their next step. */
  aim(pose) {
    const { ctrl } = this.data, { servos, controls } = this.body;
    this.pose = pose;
    controls.forEach((at, i) => (ctrl[at] = pose[servos[i]]));
  }

  /** One physics step. */
  step() {
    this.mujoco.mj_step(this.model, this.data);
  }

  /** Positions and sensors of the state that the last step led to; no step depends on it. */
  sense() {
    this.mujoco.mj_step1(this.model, this.data);
  }

  /** Change the root's horizontal velocity, m/s: a push, as those of training. */
  push(x, y) {
    const qvel = this.data.qvel;
    qvel[0] += x;
    qvel[1] += y;
  }

  /** The state as a task sees it; copies. */
  state() {
    const { data, body } = this;
    return {
      qpos: Float64Array.from(data.qpos),
      qvel: Float64Array.from(data.qvel),
      gyro: Float64Array.from(data.sensordata.subarray(body.gyro, body.gyro + 3)),
    };
  }

  /** Put the simulation into a recorded state, sensors included. */
  restore(qpos, qvel) {
    this.data.qpos.set(qpos);
    this.data.qvel.set(qvel);
    this.sense();
  }
}

function edit(model, dotted, value) {
  const path = dotted.split(".");
  const last = path.pop();
  const owner = path.reduce((at, name) => at[name], model);
  if (owner[last] === undefined) throw new Error(`MuJoCo's model has no field ${dotted} here`);
  if (Array.isArray(value)) {
    const flat = value.flat(Infinity).map(Number);
    if (owner[last].length !== flat.length) throw new Error(`${dotted} has ${owner[last].length} numbers here, not ${flat.length}`);
    owner[last].set(flat);
  } else owner[last] = value;
}
