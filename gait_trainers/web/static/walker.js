// The one order of a step, as in gait_envs/core.py: observe, act (clip, filter, target, delay), simulate.

import { gravity, headingVelocity, observe, yaw, yawRate } from "./observe.js";

export class Walker {
  /** `reference`: of a policy that follows clips, else null */
  constructor(body, policy, physics, reference = null) {
    this.reference = reference;
    this.body = body;
    this.policy = policy;
    this.physics = physics;
    this.wanted = [0, 0, 0]; // forward m/s, leftward m/s, turn rad/s; the command from the next control step on
    this.lag = 0; // control steps between an action and its effect
    this.reset();
  }

  /** Begin again: at the start of the clip, or in the pose and at the velocity given. */
  reset(qpos = null, qvel = null) {
    const { home_rad, scale_rad } = this.policy.action;
    const begun = this.reference?.clip;
    this.reference?.begin(this.reference.number);
    qpos ??= begun?.start_qpos ?? this.body.start_qpos;
    this.physics.reset(qpos, qvel ?? begun?.start_qvel);
    this.state = this.physics.state();
    const joints = Array.from(qpos.slice(7));
    const holding = joints.map((angle, i) => clip((angle - home_rad[i]) / scale_rad[i], -1, 1));
    this.memory = {
      command: this.reference?.command ?? [...this.wanted],
      heading: yaw(this.state.qpos),
      filtered: this.reference?.pose ? joints.map(() => 0) : holding,
      targets: [joints], // newest first
    };
    this.substep = 0; // of the control step that is under way
    this.rest = 0; // physics steps that are due, less than one
    this.steps = 0;
  }

  /** Begin again as an episode of the environment does: along a clip at its start, else with noise on the joints. From a
      pose that is its own mirror image to the last bit a symmetric policy never takes a first step. */
  begin(random = Math.random) {
    if (this.reference) return this.reset();
    const { reset_noise, lower_rad, upper_rad } = this.body;
    const off = (angle, i) => clip(angle + reset_noise * (2 * random() - 1), lower_rad[i], upper_rad[i]);
    const root = Array.from(this.body.start_qpos.slice(0, 7)), joints = Array.from(this.body.start_qpos.slice(7));
    this.reset([...root, ...joints.map(off)]);
  }

  /** What the policy observes now. */
  observation() {
    const { state, memory, body, policy, reference } = this;
    return observe(policy.layout, { state, memory, body, reference, action: policy.action });
  }

  /** Simulate `seconds` more, as far as they are whole physics steps; what is left comes next time. Control steps begin
      where they are due. The seconds that were simulated. */
  async advance(seconds) {
    const h = this.body.dt / this.body.substeps;
    this.rest += seconds / h;
    const count = Math.max(0, Math.floor(this.rest + 1e-6)); // whole ones that rounding has left just short
    this.rest -= count;
    for (let left = count; left > 0; left--) {
      if (this.substep === 0) await this.decide();
      await this.simulate();
    }
    return count * h;
  }

  /** One control step. */
  async step() {
    if (this.substep === 0) await this.decide();
    do await this.simulate();
    while (this.substep !== 0);
  }

  /** Observe under the command of now, and act. */
  async decide() {
    if (!this.reference) this.memory.command = [...this.wanted];
    const observation = this.observation();
    const action = await this.policy.act(observation);
    this.act(action);
    return { observation, action };
  }

  /** From an action to the joints' targets. */
  act(action) {
    const { memory, body } = this;
    const { home_rad, scale_rad, lower_rad, upper_rad, filter_alpha } = this.policy.action;
    if (this.reference) { // it moves on first: the command that turns the heading is the new frame's
      this.reference.advance();
      memory.command = this.reference.command;
    }
    const base = this.reference?.pose ?? home_rad;
    memory.heading += memory.command[2] * body.dt;
    memory.filtered = memory.filtered.map((old, i) => filter_alpha * clip(action[i], -1, 1) + (1 - filter_alpha) * old);
    const target = memory.filtered.map((a, i) => clip(base[i] + scale_rad[i] * a, lower_rad[i], upper_rad[i]));
    memory.targets = [target, ...memory.targets].slice(0, this.lag + 1);
    this.physics.aim(memory.targets.at(-1));
  }

  /** One physics step; the last of a control step also reads the new state. */
  async simulate() {
    if (this.physics.muscles) await this.physics.muscles.act(this.substep);
    this.physics.step();
    this.substep = (this.substep + 1) % this.body.substeps;
    if (this.substep !== 0) return;
    this.steps += 1;
    this.physics.sense();
    this.state = this.physics.state();
  }

  /** Too low, too high or tilted over, as an episode ends in gait_envs; also where a number has become undefined. */
  get fallen() {
    const { qpos } = this.state;
    const { min_height, max_height, max_tilt, falls_from_clip, home_height } = this.body;
    const meant = falls_from_clip && this.reference ? this.reference.here.qpos : null;
    const lift = meant ? meant[2] - home_height : 0;
    const down = meant ? gravity(meant) : [0, 0, -1];
    const least = max_tilt < Math.PI ? Math.cos(max_tilt) : -Infinity;
    const upright = gravity(qpos).reduce((sum, value, axis) => sum + value * down[axis], 0);
    const low = min_height + Math.min(lift, 0), high = max_height + Math.max(lift, 0);
    return !(qpos[2] >= low && qpos[2] <= high && upright >= least);
  }

  /** Measured as the command is: forward m/s, leftward m/s, turn rad/s. */
  get speed() {
    const [forward, left] = headingVelocity(this.state);
    return [forward, left, yawRate(this.state)];
  }
}

function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
