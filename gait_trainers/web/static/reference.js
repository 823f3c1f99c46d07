// Plays the clip that a policy follows, as gait_envs/tasks/player.py does for a walker of the usual cadence and size.

export class Reference {
  constructor(description) {
    Object.assign(this, description); // future_frames, base, lead_s, kp_nm_rad, clips
    this.begin(Math.floor(this.clips.length / 2)); // the first of a set may be of somebody who stands
  }

  /** From a clip's first frame, its root above the origin. */
  begin(number) {
    this.number = number;
    this.clip = this.clips[number];
    this.origin = [-this.clip.qpos[0][0], -this.clip.qpos[0][1]];
    this.frame = 0;
    this.here = this.at(0);
  }

  /** One control step further. */
  advance() {
    this.frame += 1;
    this.here = this.at(0);
  }

  /** Position (nq) and velocity (nv) `ahead` frames from now, in the world. */
  at(ahead) {
    const { row, laps, outside } = this.place(this.frame + ahead);
    const { clip, origin } = this;
    const qpos = [...clip.qpos[row]], qvel = outside ? clip.qvel[row].map(() => 0) : [...clip.qvel[row]];
    if (laps) goOn(qpos, qvel, laps, clip.stride, clip.turn);
    qpos[0] += origin[0];
    qpos[1] += origin[1];
    return { qpos, qvel };
  }

  /** The row of a frame, how often a loop has gone round before, and whether the clip was over. */
  place(frame) {
    const last = this.clip.qpos.length - 1;
    const laps = this.clip.loop ? Math.floor(frame / last) : 0;
    const within = frame - laps * last;
    const row = Math.min(Math.max(within, 0), last);
    return { row, laps, outside: row !== within };
  }

  /** The velocity of the clip here, as a command. */
  get command() {
    return [...this.clip.command[this.place(this.frame).row]];
  }

  /** The target pose of an action of zero, rad; null: the home pose. */
  get pose() {
    if (this.base !== "reference") return null;
    const { qpos, qvel } = this.here;
    const torque = this.kp_nm_rad && this.clip.torque[this.place(this.frame).row];
    return this.lead_s.map((lead, i) => qpos[7 + i] + lead * qvel[6 + i] + (torque ? torque[i] / this.kp_nm_rad[i] : 0));
  }

  /** Within the clip: 0 at the first frame, 1 at the last. */
  get phase() {
    const last = this.clip.qpos.length - 1;
    return (this.clip.loop ? this.frame % last : Math.min(this.frame, last)) / last;
  }

  get over() {
    return !this.clip.loop && this.frame >= this.clip.last;
  }
}

/** Displace a frame by the laps done so far, in place: n times "turn by a, shift by s". */
function goOn(qpos, qvel, laps, stride, turn) {
  if (turn === 0) {
    qpos[0] += laps * stride[0];
    qpos[1] += laps * stride[1];
    return;
  }
  const chord = Math.sin((laps * turn) / 2) / Math.sin(turn / 2);
  const shift = turned(stride, ((laps - 1) * turn) / 2);
  const at = turned(qpos, laps * turn), way = turned(qvel, laps * turn);
  for (const i of [0, 1]) {
    qpos[i] = at[i] + chord * shift[i];
    qvel[i] = way[i];
  }
  const c = Math.cos((laps * turn) / 2), s = Math.sin((laps * turn) / 2);
  const [w, x, y, z] = qpos.slice(3, 7);
  [qpos[3], qpos[4], qpos[5], qpos[6]] = [c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w];
}

function turned([x, y], angle) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return [c * x - s * y, s * x + c * y];
}
