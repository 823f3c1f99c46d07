"""A person's walk on the humanoid: published joint angles, changed as little as lets the feet stand.

Averages of many people's angles, put on one body of other proportions, make its feet slide and sink. The walk is
sought as a Fourier series of the gait cycle, near the published angles, whose soles stay where they stand and whose
weight is carried by them. Left and right are one series, half a cycle apart; the seam of the loop is like any frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from gait_envs.motion.body import Body
from gait_envs.motion.clip import Clip, velocities
from gait_envs.motion.euler import quat_from_euler
from gait_envs.motion.human_figures import GRAVITY, Figures, figures_at, fourier
from gait_envs.motion.quality import carry, faults, measure
from gait_envs.rotations import quat_rotate

SOURCE = "GaitNet: walk fitted to the joint angles of Schwartz, Rozumalski & Trost (2008)"
_FINE = 4  # moments fitted a frame
_ORDERS = 14  # harmonics of the cycle that the fit may use
_ROUNDS = 30
_STANDING_TILT = np.radians(12.0)  # of the clinic's pelvis, between its spines, where this body's is level
_STEP_WIDTH = 0.13  # leg lengths between the feet: Donelan, Kram & Kuo 2001
# Ours from here on: arms swing against the legs, and more with longer steps.
_TRUNK_LEAN = np.radians(3.0)
_ARM_SWING, _ELBOW_SWING = np.radians(15.0), np.radians(10.0)  # to either side of the mean, at the longest usual step
_ARM_MEAN, _ELBOW_MEAN, _ARM_OUT = np.radians(-5.0), np.radians(22.0), np.radians(7.0)
_ARM_STEP = 0.76  # leg lengths of a step at the preferred speed
_IN_SPINE = 0.4  # share of the trunk's turns that the loins do, the chest the rest

_ROOT = ("x", "y", "z", "roll", "pitch", "yaw")
_EVEN = ("x", "z", "pitch")  # the same at both steps; the root's others change sign
_LEG = (
    *("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion"),
    *("ankle_dorsiflexion", "ankle_inversion", "ankle_rotation", "big_toe_extension", "small_toes_extension"),
)
_TRACKS = (*_ROOT, *_LEG)
# Spread (rad) about what is wanted of the joints whose angles the figures do not give.
_LOOSE = {name: np.radians(5.0) for name in ("ankle_inversion", "ankle_rotation")} | {
    name: np.radians(10.0) for name in ("big_toe_extension", "small_toes_extension")
}
_STILL, _DOWN, _LIMIT, _BALANCE = 1e-3, 1e-3, np.radians(0.3), 2e-2  # m, m, rad, m: how closely each is met
_CLEARANCE = 0.015  # m under a swinging foot, at mid-swing
_FLAT = np.radians(3.0)  # a foot stands flat while its published pitch is within this
_HEAVY = 0.5  # a stance's share of the double supports around it, at their middles


@dataclass(frozen=True)
class Stance:
    """Phases of the right foot, which lands at 0."""

    flat: float
    heel_off: float
    foot_off: float

    def soles(self, phase: np.ndarray) -> np.ndarray:
        """(T, 2) bool, ball and heel on the floor at phases (T,)."""
        phase = phase % 1.0
        return np.stack([(phase >= self.flat) & (phase < self.foot_off), phase < self.heel_off], axis=-1)


def stance_of(figures: Figures) -> Stance:
    """When the published foot lands, lies flat, rises and leaves."""
    phase = np.arange(1000) / 1000
    pitch = foot_pitch(figures, phase)
    flat = phase[(phase < figures.foot_off) & (np.abs(pitch) < _FLAT)]
    return Stance(float(flat[0]), float(flat[-1]), figures.foot_off)


def foot_pitch(figures: Figures, phase: np.ndarray) -> np.ndarray:
    """Pitch (T,) rad of the foot against the floor, toes up, at phases (T,)."""
    hip, tilt, knee, ankle = (
        figures.angle(name, phase) for name in ("hip_flexion", "pelvis_tilt", "knee_flexion", "ankle_dorsiflexion")
    )
    return hip - tilt - knee + ankle


def published(figures: Figures, phase: np.ndarray) -> dict[str, np.ndarray]:
    """What the figures ask of this body: angles (T,) rad by track, at phases (T,) of the right leg."""
    pitch = foot_pitch(figures, phase)
    planted = phase % 1.0 < figures.foot_off
    out = {
        "roll": -figures.angle("pelvis_obliquity", phase),
        "pitch": figures.angle("pelvis_tilt", phase) - _STANDING_TILT,
        "yaw": figures.angle("pelvis_rotation", phase),
        "hip_flexion": figures.angle("hip_flexion", phase) - _STANDING_TILT,
        "hip_abduction": -figures.angle("hip_adduction", phase),
        "hip_rotation": figures.angle("hip_rotation", phase),
        "knee_flexion": figures.angle("knee_flexion", phase),
        "ankle_dorsiflexion": figures.angle("ankle_dorsiflexion", phase),
        "ankle_inversion": np.zeros(len(phase)),
        "ankle_rotation": np.zeros(len(phase)),
        "big_toe_extension": np.where(planted, np.clip(-pitch, 0.0, np.radians(50.0)), 0.0),
        "small_toes_extension": np.where(planted, np.clip(-pitch, 0.0, np.radians(36.0)), 0.0),
    }
    return out


def spreads(figures: Figures) -> dict[str, float]:
    """Standard deviation of people, rad, of each track that `published` gives."""
    of = {"roll": "pelvis_obliquity", "pitch": "pelvis_tilt", "yaw": "pelvis_rotation"}
    of |= {"hip_abduction": "hip_adduction"}
    of |= {name: name for name in ("hip_flexion", "hip_rotation", "knee_flexion", "ankle_dorsiflexion")}
    return {track: figures.spread[name] for track, name in of.items()} | _LOOSE


class _Fit:
    """One walk's unknowns (Fourier coefficients of the root and the right leg), and how well they do."""

    def __init__(self, body: Body, speed: float, fps: float) -> None:
        self.body = body
        leg = float(body.home[2])
        self.figures = figures_at(speed, leg)
        # An even number of frames: then each frame's mirror is a frame.
        self.frames = 2 * round(self.figures.cycle * fps / 2)
        self.cycle, self.rate = self.frames / fps, _FINE * fps
        self.stride = speed * self.cycle
        self.stance = stance_of(self.figures)
        self.width = _STEP_WIDTH * leg
        self.phase = np.arange(_FINE * self.frames) / (_FINE * self.frames)
        self.bases = [_basis(track, self.phase) for track in _TRACKS]
        ends = np.cumsum([0] + [basis.shape[1] for basis in self.bases])
        self.parts = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
        self.unknowns = int(ends[-1])
        self.column = {name: 7 + i for i, name in enumerate(body.joint_names)}
        self.data = mujoco.MjData(body.model)
        self.points = _foot_points(body)

    def start(self) -> np.ndarray:
        """Coefficients of the published angles, the root at home's height."""
        wanted = published(self.figures, self.phase)
        values = np.zeros(self.unknowns)
        for track, part, basis in zip(_TRACKS, self.parts, self.bases, strict=True):
            if track in wanted:
                values[part] = np.linalg.lstsq(basis, wanted[track], rcond=None)[0]
        values[self.parts[2].start] = self.body.home[2] - 0.02
        return values

    def tracks(self, values: np.ndarray, shift: float = 0.0) -> np.ndarray:
        """(T, tracks) at the fit's phases, or `shift` cycles later."""
        bases = self.bases if not shift else [_basis(track, self.phase + shift) for track in _TRACKS]
        return np.stack([basis @ values[part] for basis, part in zip(bases, self.parts, strict=True)], axis=1)

    def qpos(self, values: np.ndarray) -> np.ndarray:
        """(T, nq) of the whole body at the fit's phases."""
        right, left = self.tracks(values), self.tracks(values, 0.5)
        out = np.tile(self.body.home, (len(self.phase), 1))
        out[:, :3] = right[:, :3]
        out[:, 0] += self.stride * self.phase
        out[:, 3:7] = quat_from_euler(right[:, [5, 4, 3]], "zyx")
        joints = _upper_body(self.figures, self.phase, self.stride / 2 / self.body.home[2])
        for side, found in (("right", right), ("left", left)):
            joints |= {f"{side}_{name}": found[:, 6 + i] for i, name in enumerate(_LEG)}
        for name, angle in joints.items():
            out[:, self.column[name]] = angle
        return out

    def solve(self) -> np.ndarray:
        """The best coefficients, by damped Gauss-Newton steps."""
        values, damping = self.start(), 1e-3
        here = self.residuals(values)
        for _ in range(_ROUNDS):
            squares = sum(jacobian.T @ jacobian for _, jacobian in here)
            slope = sum(jacobian.T @ residual for residual, jacobian in here)
            while True:
                step = np.linalg.solve(squares + damping * np.diag(np.diag(squares) + 1e-3), slope)
                there = self.residuals(values - step)
                if _cost(there) < _cost(here):
                    break
                damping *= 5
                if damping > 1e3:
                    return values
            gain, values, here, damping = _cost(here) - _cost(there), values - step, there, damping / 3
            if gain < 1e-4 * _cost(here):
                break
        return values

    def residuals(self, values: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """What should be zero (n,) in units of its spread, over the root of the moments, and slopes (n, unknowns)."""
        found, qpos = self.tracks(values), self.qpos(values)
        places, slopes = self._feet(qpos, found)
        out = [*self._angles(found), *self._limits(found), *self._floor(places, slopes), self._balance(qpos, places)]
        scale = 1 / np.sqrt(len(self.phase))
        return [(scale * residual, scale * jacobian) for residual, jacobian in out]

    def _row(self, track: int, weight: np.ndarray | float = 1.0) -> np.ndarray:
        """Slopes (T, unknowns) of one track, times weights (T,)."""
        out = np.zeros((len(self.phase), self.unknowns))
        out[:, self.parts[track]] = np.multiply(self.bases[track].T, weight).T
        return out

    def _angles(self, found: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        wanted, spread = published(self.figures, self.phase), spreads(self.figures)
        out = [
            ((found[:, i] - wanted[track]) / spread[track], self._row(i, 1 / spread[track]))
            for i, track in enumerate(_TRACKS)
            if track in wanted
        ]
        # The root's path is free but for needless haste: harmonics cost by their acceleration, in g.
        for i in range(3):
            part, basis = self.parts[i], self.bases[i]
            orders = np.concatenate([[0] if i != 1 else [], np.tile(_orders(_TRACKS[i]), 2)])
            pace = 0.3 * (2 * np.pi * orders / self.cycle) ** 2 / GRAVITY
            jacobian = np.zeros((len(basis), self.unknowns))
            jacobian[:, part] = basis * pace
            out.append((jacobian @ self._flat(found, i), jacobian))
        return out

    def _flat(self, found: np.ndarray, track: int) -> np.ndarray:
        """Coefficients (unknowns,) of one track as found, zero elsewhere."""
        values = np.zeros(self.unknowns)
        values[self.parts[track]] = np.linalg.lstsq(self.bases[track], found[:, track], rcond=None)[0]
        return values

    def _limits(self, found: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        margin = np.radians(1.0)
        out = []
        for i, name in enumerate(_LEG, start=len(_ROOT)):
            joint = self.column[f"right_{name}"] - 7
            over = np.maximum(found[:, i] - (self.body.upper[joint] - margin), 0.0)
            under = np.minimum(found[:, i] - (self.body.lower[joint] + margin), 0.0)
            out.append(((over + under) / _LIMIT, self._row(i, ((over > 0) | (under < 0)) / _LIMIT)))
        return out

    def _feet(self, qpos: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The right foot's points (T, P, 3) m, and their slopes (T, P, 3, unknowns)."""
        model, data = self.body.model, self.data
        owners, local, radius = self.points
        columns = [self.column[f"right_{name}"] - 1 for name in _LEG]
        places = np.empty((len(qpos), len(owners), 3))
        by_track = np.empty((len(qpos), len(owners), 3, len(_TRACKS)))
        jacobian = np.zeros((3, model.nv))
        for t, q in enumerate(qpos):
            data.qpos[:] = q
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            rates = _body_rates(found[t, 3], found[t, 4])
            for p, (owner, at) in enumerate(zip(owners, local, strict=True)):
                place = data.xpos[owner] + data.xmat[owner].reshape(3, 3) @ at
                mujoco.mj_jac(model, data, jacobian, None, place, owner)
                places[t, p] = place - [0.0, 0.0, radius[p]]
                by_track[t, p, :, :3] = jacobian[:, :3]
                by_track[t, p, :, 3:6] = jacobian[:, 3:6] @ rates
                by_track[t, p, :, 6:] = jacobian[:, columns]
        slopes = np.empty((*places.shape, self.unknowns))
        for i, (part, basis) in enumerate(zip(self.parts, self.bases, strict=True)):
            slopes[..., part] = by_track[..., i, None] * basis[:, None, None, :]
        return places, slopes

    def _floor(self, places: np.ndarray, slopes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Standing points stay where they are, on the floor; the others stay above it."""
        stance, phase = self.stance, self.phase
        out = []
        stands = [
            (phase < stance.heel_off) & (phase >= (0.0 if rear else stance.flat)) for rear in (False, False, True, True)
        ]  # heel: two corners ahead, two behind
        stands = [
            *((phase >= stance.flat) & (phase < stance.foot_off) for _ in range(2)),
            *((phase >= stance.flat) & (phase < stance.heel_off) for _ in range(2)),
            *stands,
        ]
        swing = np.clip((phase - stance.foot_off) / (1 - stance.foot_off), 0.0, 1.0)
        clearance = _CLEARANCE * np.sin(np.pi * swing) ** 2
        for p in range(places.shape[1]):
            at, slope = places[:, p], slopes[:, p]
            on = stands[p] if p < len(stands) else np.zeros(len(phase), dtype=bool)
            if on.any():
                out.append((at[on, 2] / _DOWN, slope[on, 2] / _DOWN))
                for axis in (0, 1):
                    moved, turned = at[on, axis], slope[on, axis]
                    out.append(((moved - moved.mean()) / _STILL, (turned - turned.mean(axis=0)) / _STILL))
            low = ~on & (at[:, 2] < clearance)
            out.append(((at[low, 2] - clearance[low]) / _DOWN / 2, slope[low, 2] / _DOWN / 2))
        # Where it stands: half a step's width to the right of the way.
        on = stands[4]
        centre, slope = places[on, 4:8, 1].mean(), slopes[on, 4:8, 1].mean(axis=(0, 1))
        out.append((np.array([(centre + self.width / 2) / 1e-4]), slope[None] / 1e-4))
        return out

    def _balance(self, qpos: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The ground's push goes from heel to ball and over to the other foot: no moment is left about it."""
        residual = unbalance(self.body, qpos, self._push(places), self.stride, self.rate, _FINE)
        # A root that moves alone takes the push with it, and the further the faster it is accelerated.
        jacobian = np.zeros((len(qpos), 2, self.unknowns))
        for axis in (0, 1):
            part, basis = self.parts[axis], self.bases[axis]
            orders = np.concatenate([[0] if axis == 0 else [], np.tile(_orders(_TRACKS[axis]), 2)])
            gap = _FINE / self.rate
            pace = 1 + self.body.home[2] / GRAVITY * (np.sin(2 * np.pi * orders / self.cycle * gap) / gap) ** 2
            jacobian[:, axis, part] = basis * pace
        return residual.ravel() / _BALANCE, jacobian.reshape(-1, self.unknowns) / _BALANCE

    def _push(self, places: np.ndarray) -> np.ndarray:
        """(T, 2) m on the floor, where the ground should push."""
        stance, phase = self.stance, self.phase
        on = (phase >= stance.flat) & (phase < stance.heel_off)
        corners = places[on, :8, :2].mean(axis=0)
        ball, heel = corners[:2].mean(axis=0), corners[4:].mean(axis=0)
        half = len(phase) // 2
        step = np.array([self.stride / 2, 0.0])

        def right(phase: np.ndarray) -> np.ndarray:
            return heel + np.clip(phase / stance.foot_off, 0.0, 1.0)[:, None] * (ball - heel)

        other = np.array([1.0, -1.0])
        double = stance.foot_off - 0.5
        # Phases 0 to 0.5: the left foot, behind, hands over to the right one.
        first = phase[:half]
        share = np.clip(first / double, 0.0, 1.0)
        share = (share**2 * (3 - 2 * share))[:, None]
        path = share * right(first) + (1 - share) * (right(first + 0.5) * other - step)
        return np.concatenate([path, path * other + step])


def _cost(residuals: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Half the sum of squares."""
    return 0.5 * float(sum(residual @ residual for residual, _ in residuals))


def _orders(track: str) -> np.ndarray:
    """Harmonics that a track has."""
    orders = np.arange(1, _ORDERS + 1)
    if track in _ROOT:
        return orders[orders % 2 == (0 if track in _EVEN else 1)]
    return orders


def _basis(track: str, phase: np.ndarray) -> np.ndarray:
    """(T, k) waves of a track; the first is constant where it has a mean."""
    waves = fourier(phase, _orders(track))
    if track in _ROOT and track not in _EVEN:
        return waves
    return np.concatenate([np.ones((len(phase), 1)), waves], axis=1)


def _body_rates(roll: float, pitch: float) -> np.ndarray:
    """(3, 3): angular velocity in the body's axes for unit rates of roll, pitch and yaw (turned last to first)."""
    return np.array(
        [
            [1.0, 0.0, -np.sin(pitch)],
            [0.0, np.cos(roll), np.sin(roll) * np.cos(pitch)],
            [0.0, -np.sin(roll), np.cos(roll) * np.cos(pitch)],
        ]
    )


def _foot_points(body: Body) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The right foot's points: body ids, places (P, 3) in the body and radii (P,) m.

    Ball box: two corners ahead, two behind; heel box the same; then both ends of the toes' capsules.
    """
    model = body.model
    owners, places, radii = [], [], []
    for name in ("right_toe", "right_heel"):
        geom = model.geom(name)
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, geom.quat)
        corners = geom.pos + body.corners[body.contact_names.index(name)] @ turn.reshape(3, 3).T
        corners = corners[np.argsort(-corners[:, 0], kind="stable")]
        owners += [int(geom.bodyid[0])] * 4
        places += list(corners)
        radii += [0.0] * 4
    for name in ("right_big_toe", "right_small_toes"):
        geom = model.geom(name)
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, geom.quat)
        for end in (1.0, -1.0):
            owners.append(int(geom.bodyid[0]))
            places.append(geom.pos + turn.reshape(3, 3) @ [0.0, 0.0, end * geom.size[1]])
            radii.append(float(geom.size[0]))
    return owners, np.array(places), np.array(radii)


def _upper_body(figures: Figures, phase: np.ndarray, step: float) -> dict[str, np.ndarray]:
    """Angles (T,) rad of trunk, head and arms; `step` is a step's length in leg lengths."""
    bend, turn = -figures.angle("trunk_obliquity", phase), figures.angle("trunk_rotation", phase)
    pelvis = published(figures, phase)
    flexion = _TRUNK_LEAN - pelvis["pitch"]
    out = {}
    for axis, angle in (("flexion", flexion), ("bending", bend), ("rotation", turn)):
        out[f"spine_{axis}"], out[f"torso_{axis}"] = _IN_SPINE * angle, (1 - _IN_SPINE) * angle
    # The head stays level and looks ahead.
    level = {"flexion": np.full(len(phase), -_TRUNK_LEAN), "bending": -bend - pelvis["roll"]}
    level["rotation"] = -turn - pelvis["yaw"]
    for axis, angle in level.items():
        out[f"neck_{axis}"] = out[f"head_{axis}"] = angle / 2
    reach = step / _ARM_STEP
    for side, late in (("right", 0.0), ("left", 0.5)):
        # Furthest back as the foot of its own side lands, the elbow bending as the arm comes forward.
        swing = np.cos(2 * np.pi * (phase + late))
        out[f"{side}_arm_flexion"] = _ARM_MEAN - _ARM_SWING * reach * swing
        out[f"{side}_elbow_flexion"] = _ELBOW_MEAN - _ELBOW_SWING * reach * swing
        out[f"{side}_arm_abduction"] = np.full(len(phase), _ARM_OUT)
    return out


def unbalance(
    body: Body, qpos: np.ndarray, push: np.ndarray, stride: float, fps: float, gap: int = 1
) -> np.ndarray:
    """(T, 2) m: by how much the body's weight would have to push further ahead and further left than `push` (T, 2).

    Of one cycle of a periodic motion, qpos (T, nq); rates are differences over `gap` samples.
    """
    model, data = body.model, mujoco.MjData(body.model)
    qvel, qacc = periodic_rates(qpos, stride, fps, gap)
    out = np.empty((len(qpos), 2))
    flags = int(model.opt.disableflags)
    model.opt.disableflags = flags | mujoco.mjtDisableBit.mjDSBL_CONTACT
    try:
        for t in range(len(qpos)):
            data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t], qvel[t], qacc[t]
            mujoco.mj_inverse(model, data)
            force = data.qfrc_inverse[:3]
            arm = qpos[t, :3] - [*push[t], 0.0]
            moment = quat_rotate(qpos[t, 3:7], data.qfrc_inverse[3:6]) + np.cross(arm, force)
            out[t] = -moment[1], moment[0]
    finally:
        model.opt.disableflags = flags
    return out / body.weight


def periodic_rates(qpos: np.ndarray, stride: float, fps: float, gap: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Velocities and accelerations (T, nv) of one cycle, qpos (T, nq) without the sample that ends it.

    Differences are central, over `gap` samples to either side, of which a cycle holds a whole number.
    """
    ahead = np.zeros(qpos.shape[1])
    ahead[0] = stride
    qvel, qacc = np.empty((2, len(qpos), qpos.shape[1] - 1))
    for first in range(gap):
        part = qpos[first::gap]
        padded = np.concatenate([part[-2:] - ahead, part, part[:2] + ahead])
        rates = velocities(padded, fps / gap)[1:-1]
        qvel[first::gap] = rates[1:-1]
        qacc[first::gap] = (rates[2:] - rates[:-2]) * (fps / gap / 2)
    return qvel, qacc


def human_walk(body: Body, speed: float, fps: float = 30.0) -> Clip:
    """One looping cycle of a walk at `speed` m/s, the right heel striking in the first frame and the last.

    A `ClipError` says which speeds the published figures are of.
    """
    fit = _Fit(body, speed, fps)
    values = fit.solve()
    fine = fit.qpos(values)
    fine[:, 0] -= fine[0, 0]
    ahead = np.zeros(fine.shape[1])
    ahead[0] = fit.stride
    cycle = fine[::_FINE]
    qpos = np.concatenate([cycle, cycle[:1] + ahead])
    rates, _ = periodic_rates(cycle, fit.stride, fps)
    phase = np.arange(fit.frames) / fit.frames
    contact = np.concatenate([fit.stance.soles(phase + 0.5), fit.stance.soles(phase)], axis=1)
    # Three cycles, of which the middle one is free of ends.
    thrice = np.concatenate([cycle - ahead, cycle, cycle + ahead, cycle[:1] + 2 * ahead])
    load = carry(thrice, fps, np.concatenate([contact, contact, contact, contact[:1]]), body)
    middle = slice(fit.frames, 2 * fit.frames + 1)
    load = type(load)(*(getattr(load, key)[middle] for key in load.__dataclass_fields__))
    quality = measure(qpos, fps, np.concatenate([contact, contact[:1]]), load, body)
    return Clip(
        qpos=qpos,
        qvel=np.concatenate([rates, rates[:1]]),
        fps=fps,
        joint_names=body.joint_names,
        loop=True,
        model=body.name,
        source=SOURCE,
        license="MIT",
        name=f"walk_{round(100 * speed):03d}",
        contacts=load.contact_force,
        meta={
            "speed": speed,
            "cycle": fit.cycle,
            "foot_off": fit.figures.foot_off,
            "contacts": "estimated by inverse dynamics",
            "activity": "walk",
            "quality": quality,
            "faults": faults(quality, body),
        },
    )
