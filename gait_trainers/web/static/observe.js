// What a policy observes, computed as gait_envs does. Rows, sizes and limits are those of policy.json; `rows.json` lists
// the rows that are known here, which Python reads to refuse a policy that observes anything else.
//
// A view is one moment: state (qpos, qvel, gyro), memory (command, heading, filtered action), body and action tables.

export const OBSERVED = {
  joint_position: ({ state, body, action }) =>
    action.home_rad.map((home, i) => (state.qpos[7 + i] - home) / body.half_range_rad[i]),
  joint_velocity: ({ state }) => state.qvel.subarray(6),
  linear_velocity: ({ state, body }) =>
    body.velocity_frame === "world" ? state.qvel.subarray(0, 3) : headingVelocity(state),
  angular_velocity: ({ state }) => state.gyro,
  gravity: ({ state }) => gravity(state.qpos),
  command: (view) => steeredCommand(view),
  previous_action: ({ memory, body }) => body.held_actions.map((i) => memory.filtered[i]),
};

/** The observation as float32, every number kept within its row's limit. */
export function observe(layout, view) {
  const out = new Float32Array(layout.reduce((size, row) => size + row.size, 0));
  for (const row of layout) {
    const values = OBSERVED[row.name](view);
    if (values.length !== row.size) throw new Error(`${row.name} has ${values.length} numbers, expected ${row.size}`);
    const limit = row.limit ?? Infinity;
    for (let i = 0; i < row.size; i++) out[row.index[0] + i] = Math.min(Math.max(values[i], -limit), limit);
  }
  return out;
}

/** Heading, rad: the angle about z of the root's x axis seen from above. */
export function yaw(qpos) {
  const [w, x, y, z] = qpos.subarray(3, 7);
  return Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
}

/** Unit vector of gravity in the body's frame; upright is (0, 0, -1). */
export function gravity(qpos) {
  const [w, x, y, z] = qpos.subarray(3, 7);
  const tx = 2 * y, ty = -2 * x;
  return [w * tx + z * ty, w * ty - z * tx, y * tx - x * ty - 1];
}

/** The root's velocity in the frame that yaws with it and stays upright: forward, leftward, upward, m/s. */
export function headingVelocity({ qpos, qvel }) {
  const angle = -yaw(qpos);
  const c = Math.cos(angle), s = Math.sin(angle);
  return [c * qvel[0] - s * qvel[1], s * qvel[0] + c * qvel[1], qvel[2]];
}

/** Turning rate about the vertical, rad/s. */
export function yawRate({ qpos, qvel }) {
  const g = gravity(qpos);
  return -(qvel[3] * g[0] + qvel[4] * g[1] + qvel[5] * g[2]);
}

/** The command, its yaw rate corrected towards the heading that it integrates to. */
function steeredCommand({ state, memory, body }) {
  const [forward, left, turn] = memory.command;
  if (body.heading_gain === 0) return [forward, left, turn];
  const error = wrapAngle(memory.heading - yaw(state.qpos));
  return [forward, left, turn + Math.min(Math.max(body.heading_gain * error, -body.steer), body.steer)];
}

function wrapAngle(angle) {
  return angle - 2 * Math.PI * Math.floor((angle + Math.PI) / (2 * Math.PI));
}
