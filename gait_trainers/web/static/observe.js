// What a policy observes, computed as gait_envs does. Rows, sizes and limits are those of policy.json; `rows.json` lists
// the rows that are known here, which Python reads to refuse a policy that observes anything else.
//
// A view is one moment: state (qpos, qvel, gyro), memory (command, heading, filtered action), body and action tables, and
// the reference where a clip is followed.

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
  reference_joint_position: ({ reference, body, action }) =>
    ahead(reference, ({ qpos }) => action.home_rad.map((home, i) => (qpos[7 + i] - home) / body.half_range_rad[i])),
  reference_joint_velocity: ({ reference }) => ahead(reference, ({ qvel }) => qvel.slice(6)),
  root_error: ({ reference, state }) =>
    ahead(reference, ({ qpos }) => headingFrame(state.qpos, [0, 1, 2].map((i) => qpos[i] - state.qpos[i]))),
  turn_error: ({ reference, state }) =>
    ahead(reference, ({ qpos }) => rotation(state.qpos.subarray(3, 7), qpos.slice(3, 7))),
  phase: ({ reference }) => [Math.sin(2 * Math.PI * reference.phase), Math.cos(2 * Math.PI * reference.phase)],
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
  const [w, x, y, z] = qpos.slice(3, 7);
  const tx = 2 * y, ty = -2 * x;
  return [w * tx + z * ty, w * ty - z * tx, y * tx - x * ty - 1];
}

/** The root's velocity in the frame that yaws with it and stays upright: forward, leftward, upward, m/s. */
export function headingVelocity({ qpos, qvel }) {
  return headingFrame(qpos, qvel);
}

/** A world vector (3) in the frame that yaws with the root. */
function headingFrame(qpos, vector) {
  const angle = -yaw(qpos);
  const c = Math.cos(angle), s = Math.sin(angle);
  return [c * vector[0] - s * vector[1], s * vector[0] + c * vector[1], vector[2]];
}

/** What is observed of each future frame of a reference, one after another. */
function ahead(reference, of) {
  return reference.future_frames.flatMap((frames) => of(reference.at(frames)));
}

/** The rotation vector, rad, that leads from one orientation to another, in the frame of the first. */
function rotation([w, x, y, z], [a, b, c, d]) {
  let q = [
    w * a + x * b + y * c + z * d, w * b - x * a - y * d + z * c, w * c + x * d - y * a - z * b, w * d - x * c + y * b - z * a,
  ];
  if (q[0] < 0) q = q.map((v) => -v); // the short way round
  const sine = Math.hypot(q[1], q[2], q[3]);
  const factor = sine < 1e-6 ? 2 : (2 * Math.atan2(sine, q[0])) / sine;
  return [factor * q[1], factor * q[2], factor * q[3]];
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
