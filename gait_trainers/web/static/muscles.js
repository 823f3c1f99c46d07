// Muscles that follow a target pose, as gait_envs/simulation/muscles.py has them do: stable PD says which torque would
// bring the joints there, a network which activations give that torque. Both are renewed every few physics steps.

import { along } from "./matrix.js";

const REST = [0.36, 0.14, 0.14], ACTIVE = [1.0, 0.16, 0.08]; // colours
const PULLEY = -2; // in MuJoCo's paths

export class Muscles {
  /** `network`: (entries of JtA, torque) float32 to activations; all else as body.json says */
  constructor(physics, told, network) {
    Object.assign(this, told);
    this.physics = physics;
    this.network = network;
    this.dofAt = new Map(told.dofs.map((dof, i) => [dof, i]));
  }

  /** Before a physics step: new activations towards the pose, where they are due. */
  async act(substep) {
    if (substep % this.refresh !== 0) return;
    const { physics } = this;
    const held = Float64Array.from(physics.data.qfrc_constraint); // N·m of contacts and limits over the last step
    if (substep !== 0) physics.sense();
    const torque = this.desiredTorque(held);
    const { jta, passive } = this.torqueMap();
    const demand = this.dofs.map((dof, i) => torque[dof] - passive[i]);
    const muscles = this.outputs.length;
    const entries = this.entry_dof.map((dof, i) => jta[dof * muscles + this.entry_muscle[i]]);
    const found = await this.network(Float32Array.from([...entries, ...demand], (x) => x / this.scale));
    const { ctrl, act } = physics.data;
    this.controls.forEach((at, i) => (ctrl[at] = act[this.activations[i]] = Math.min(Math.max(found[i], 0), 1)));
  }

  /** Stable PD's torques (nv), N·m; see gait_envs/control/stable_pd.py. */
  desiredTorque(held) {
    const { kp, kd, damping, dt, physics } = this;
    const { qpos, qvel, qfrc_passive, qfrc_bias } = physics.data;
    const nv = kp.length;
    const p = kp.map((k, i) => (i < 6 ? 0 : k * (physics.pose[i - 6] - qpos[i + 1] - dt * qvel[i]) - kd[i] * qvel[i]));
    const force = p.map((x, i) => x + qfrc_passive[i] - qfrc_bias[i] + held[i]);
    const inertia = denseInertia(physics);
    for (let i = 0; i < nv; i++) inertia[i * nv + i] += (kd[i] + damping[i]) * dt;
    const acceleration = solve(inertia, force);
    return p.map((x, i) => x - dt * kd[i] * acceleration[i]);
  }

  /** Torque of activations in this state: JtA (dofs × muscles), and that without activation (dofs), N·m. */
  torqueMap() {
    const { actuator_length, actuator_velocity, actuator_moment, moment_rownnz, moment_rowadr, moment_colind } =
      this.physics.data;
    const muscles = this.outputs.length;
    const jta = new Float64Array(this.dofs.length * muscles), passive = new Float64Array(this.dofs.length);
    this.outputs.forEach((output, m) => {
      const length = actuator_length[output], velocity = actuator_velocity[output];
      const active = activeForce(length, velocity, this.curves, m), slack = passiveForce(length, this.curves, m);
      for (let k = moment_rowadr[output]; k < moment_rowadr[output] + moment_rownnz[output]; k++) {
        const dof = this.dofAt.get(moment_colind[k]);
        if (dof === undefined) continue;
        jta[dof * muscles + m] = actuator_moment[k] * active;
        passive[dof] += actuator_moment[k] * slack;
      }
    });
    return { jta, passive };
  }

  /** Their paths as capsules, coloured by activation. */
  shapes() {
    const { ten_wrapadr, ten_wrapnum, wrap_xpos, wrap_obj, act } = this.physics.data;
    const found = [];
    this.tendons.forEach((tendon, m) => {
      const activation = act[this.activations[m]];
      const rgba = [...REST.map((rest, i) => rest + activation * (ACTIVE[i] - rest)), 1];
      const first = ten_wrapadr[tendon], last = first + ten_wrapnum[tendon] - 1;
      for (let k = first; k < last; k++) {
        if (wrap_obj[k] === PULLEY || wrap_obj[k + 1] === PULLEY) continue;
        const a = wrap_xpos.subarray(3 * k, 3 * k + 3), b = wrap_xpos.subarray(3 * k + 3, 3 * k + 6);
        const way = [b[0] - a[0], b[1] - a[1], b[2] - a[2]], length = Math.hypot(...way);
        if (length < 1e-6) continue;
        const place = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2];
        const size = [this.widths[m] * (1 + 0.35 * activation), 0.5 * length, 0];
        found.push({ kind: "capsule", size, place, turn: along(way), rgba, emission: 0.25 * activation });
      }
    });
    return found;
  }
}

const TINY = 1e-15; // MuJoCo's least divisor

/** Force at full activation, N, not positive; MuJoCo's curves, see gait_envs/control/muscle.py. */
function activeForce(length, velocity, curves, m) {
  const stretch = (length - curves.slack[m]) / curves.optimum[m];
  const speed = velocity / Math.max(curves.optimum[m] * curves.fastest[m], TINY);
  const shorter = (1 - stretch) / Math.max(1 - curves.shortest[m], TINY);
  const longer = (stretch - 1) / Math.max(curves.longest[m] - 1, TINY);
  const out = Math.min(Math.max(shorter, longer), 1);
  const ofLength = out < 0.5 ? 1 - 2 * out * out : 2 * (1 - out) ** 2;
  const extra = curves.eccentric[m] - 1;
  const shortening = Math.max(1 + speed, 0) ** 2;
  const lengthening = 1 + extra - Math.max(extra - speed, 0) ** 2 / Math.max(extra, TINY);
  return -curves.peak[m] * ofLength * (speed <= 0 ? shortening : lengthening);
}

/** Force without activation, N, not positive. */
function passiveForce(length, curves, m) {
  const stretch = (length - curves.passive_slack[m]) / curves.passive_optimum[m];
  const out = Math.max(stretch - 1, 0) / Math.max(0.5 * (curves.passive_longest[m] - 1), TINY);
  return -curves.passive_peak[m] * (out <= 1 ? 0.5 * out * out : out - 0.5);
}

/** The joint-space inertia, row by row, from MuJoCo's sparse lower triangle. */
function denseInertia({ model, data }) {
  const { nv, M_rownnz, M_rowadr, M_colind } = model, { M } = data;
  const dense = new Float64Array(nv * nv);
  for (let i = 0; i < nv; i++)
    for (let k = M_rowadr[i]; k < M_rowadr[i] + M_rownnz[i]; k++)
      dense[i * nv + M_colind[k]] = dense[M_colind[k] * nv + i] = M[k];
  return dense;
}

/** The solution of a symmetric, positive definite system, by Cholesky's factors; overwrites the matrix. */
function solve(a, b) {
  const n = b.length, x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i === j ? Math.sqrt(sum) : sum / a[j * n + j];
    }
    for (let k = 0; k < i; k++) x[i] -= a[i * n + k] * x[k];
    x[i] /= a[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= a[k * n + i] * x[k];
    x[i] /= a[i * n + i];
  }
  return x;
}
