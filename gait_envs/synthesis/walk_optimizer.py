"""The walk nearest to published angles whose feet stand still and whose weight they carry.

Unknown are the Fourier series of the root and of the right leg over the gait cycle; the left leg does the same half a
cycle later. All demands are residuals in units of how closely each should be met, and their sum of squares is made
small by damped Gauss-Newton steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import mujoco
import numpy as np

from gait_envs.biomechanics.clinical_angles import LEG, spreads, stance_of, upper_body, wanted_angles
from gait_envs.biomechanics.published_gait import figures_at, fourier
from gait_envs.constants import GRAVITY
from gait_envs.euler import quat_from_euler
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.reference.clip import velocities
from gait_envs.rotations import quat_rotate

FINE = 4  # moments fitted a frame
_ORDERS = 14  # harmonics of the cycle
_GAP = FINE // 2  # moments to either side that a rate is the difference over: at whole frames it misses jitter
_ROUNDS, _ENOUGH = 40, 1e-4  # steps at most, and the gain (share of the cost) that is not worth another
_STEP_WIDTH = 0.13  # leg lengths between the feet: Donelan, Kram & Kuo 2001
_CLEARANCE = 0.015  # m under a swinging foot, at mid-swing
# How closely each demand is to be met.
_STILL, _DOWN, _ABOVE, _ASIDE = 1e-3, 1e-3, 1e-3, 1e-3  # m: soles keep their place, lie on the floor, stay above it
_LIMIT, _LIMIT_MARGIN = np.radians(0.3), np.radians(1.0)
_PUSH_PLACE, _PUSH_FORCE = 0.03, 0.15  # m on the floor, weights

_ROOT = ("x", "y", "z", "roll", "pitch", "yaw")
_EVEN = ("x", "z", "pitch")  # the same at both steps; the root's others change sign
_TRACKS = (*_ROOT, *LEG)
_BALL_AHEAD, _HEEL = slice(0, 2), slice(4, 8)  # of the right foot's points

Residual = tuple[np.ndarray, np.ndarray]  # residual (n,), its Jacobian (n, unknowns)


class WalkFit:
    """A walk at `speed` m/s, sought at `FINE` moments a frame of `fps` Hz; `values` are the unknowns."""

    def __init__(self, body: Body, speed: float, fps: float) -> None:
        leg = float(body.home[2])  # m, hip to floor
        self.body, self.figures = body, figures_at(speed, leg)
        # An even number of frames, so that each frame's mirror is a frame.
        self.frames = 2 * round(self.figures.cycle * fps / 2)
        self.cycle, self.rate = self.frames / fps, FINE * fps
        self.stride, self.width = speed * self.cycle, _STEP_WIDTH * leg
        self.stance = stance_of(self.figures)
        self.phase = np.arange(FINE * self.frames) / (FINE * self.frames)
        self.wanted, self.spread = wanted_angles(self.figures, self.phase), spreads(self.figures)
        self.upper = upper_body(self.figures, self.phase, self.stride / 2 / leg)
        self.column = {name: 7 + i for i, name in enumerate(body.joint_names)}
        self.points = _foot_points(body)
        self.stands = self._standing()
        self.bases = [_basis(track, self.phase) for track in _TRACKS]
        self.late = [_basis(track, self.phase + 0.5) for track in _TRACKS]
        ends = np.cumsum([0] + [basis.shape[1] for basis in self.bases])
        self.parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.values = self._start()

    def _start(self) -> np.ndarray:
        """The wanted angles, the root a little below home's height."""
        values = np.zeros(self.parts[-1].stop)
        for track, part, basis in zip(_TRACKS, self.parts, self.bases, strict=True):
            if track in self.wanted:
                values[part] = np.linalg.lstsq(basis, self.wanted[track], rcond=None)[0]
        values[self.parts[_TRACKS.index("z")].start] = self.body.home[2] - 0.02
        return values

    def _standing(self) -> np.ndarray:
        """(T, points) bool: a foot lands on its heel's rear edge, lies flat, and leaves over the ball's front edge."""
        phase, stance = self.phase, self.stance
        lands, rises, leaves = phase >= stance.flat, phase < stance.heel_off, phase < stance.foot_off
        out = np.zeros((len(phase), len(self.points[0])), dtype=bool)
        for pair, stands in enumerate((lands & leaves, lands & rises, lands & rises, rises)):
            out[:, 2 * pair : 2 * pair + 2] = stands[:, None]
        return out

    def solve(self) -> WalkFit:
        """Move the unknowns to where no step makes the cost smaller, by Levenberg-Marquardt; returns itself.

        Its own loop and not `scipy.optimize.least_squares`: that ended at 2 to 11 % more cost at 0.6 and 0.8 m/s, for
        1.2 to 1.8 times the time, whose methods decompose the whole Jacobian (8685 x 348), not its square.
        """
        damping, here = 1e-3, self._residuals(self.values)
        for _ in range(_ROUNDS):
            squares = sum(slopes.T @ slopes for _, slopes in here)
            descent = sum(slopes.T @ residual for residual, slopes in here)
            while True:
                step = np.linalg.solve(squares + damping * np.diag(np.diag(squares) + 1e-3), descent)
                there = self._residuals(self.values - step)
                gain = 1.0 - _cost(there) / _cost(here)
                if gain > 0 or damping > 1e3:
                    break
                damping *= 5
            if gain > 0:
                self.values, here, damping = self.values - step, there, damping / 3
            if gain < _ENOUGH:
                break
        return self

    def qpos(self, values: np.ndarray | None = None) -> np.ndarray:
        """(T, nq) of the whole body at the fit's moments."""
        values = self.values if values is None else values
        right, left = self._tracks(values, self.bases), self._tracks(values, self.late)
        out = np.tile(self.body.home, (len(self.phase), 1))
        out[:, :3] = right[:, :3]
        out[:, 0] += self.stride * self.phase
        out[:, 3:7] = quat_from_euler(right[:, [5, 4, 3]], "zyx")
        for name, angle in self.upper.items():
            out[:, self.column[name]] = angle
        for side, found in (("right", right), ("left", left)):
            out[:, [self.column[f"{side}_{name}"] for name in LEG]] = found[:, len(_ROOT) :]
        return out

    def _tracks(self, values: np.ndarray, bases: list[np.ndarray]) -> np.ndarray:
        """(T, tracks)"""
        return np.stack([basis @ values[part] for basis, part in zip(bases, self.parts, strict=True)], axis=1)

    def _slope(self, track: str, weight: np.ndarray | float = 1.0) -> np.ndarray:
        """Slopes (T, unknowns) of a track, its harmonics times `weight` (k,)."""
        index = _TRACKS.index(track)
        out = np.zeros((len(self.phase), len(self.values)))
        out[:, self.parts[index]] = self.bases[index] * weight
        return out

    def _residuals(self, values: np.ndarray) -> list[Residual]:
        """Everything that should be zero; each is a mean over the cycle."""
        found, qpos = self._tracks(values, self.bases), self.qpos(values)
        places, slopes = self._foot(qpos, found)
        residuals = (
            *self._angles(found),
            *self._limits(found),
            *self._floor(places, slopes),
            *self._push(qpos, places),
        )
        return [(r / np.sqrt(len(self.phase)), s / np.sqrt(len(self.phase))) for r, s in residuals]

    def _angles(self, found: np.ndarray) -> Iterator[Residual]:
        for track, wanted in self.wanted.items():
            spread = self.spread[track]
            yield (found[:, _TRACKS.index(track)] - wanted) / spread, self._slope(track) / spread

    def _limits(self, found: np.ndarray) -> Iterator[Residual]:
        for name in LEG:
            joint, angle = self.column[f"right_{name}"] - 7, found[:, _TRACKS.index(name)]
            low, high = self.body.lower[joint] + _LIMIT_MARGIN, self.body.upper[joint] - _LIMIT_MARGIN
            beyond = angle - np.clip(angle, low, high)
            yield beyond / _LIMIT, self._slope(name) * (beyond != 0)[:, None] / _LIMIT

    def _floor(self, places: np.ndarray, slopes: np.ndarray) -> Iterator[Residual]:
        """Standing points stay where they are, on the floor; the others stay above it."""
        swing = np.clip((self.phase - self.stance.foot_off) / (1 - self.stance.foot_off), 0.0, 1.0)
        clearance = _CLEARANCE * np.sin(np.pi * swing) ** 2
        for p in range(places.shape[1]):
            at, slope, on = places[:, p], slopes[:, p], self.stands[:, p]
            yield at[on, 2] / _DOWN, slope[on, 2] / _DOWN
            if on.any():
                for axis in (0, 1):
                    path, ways = at[on, axis], slope[on, axis]
                    yield (path - path.mean()) / _STILL, (ways - ways.mean(axis=0)) / _STILL
            low = ~on & (at[:, 2] < clearance)
            yield (at[low, 2] - clearance[low]) / _ABOVE, slope[low, 2] / _ABOVE
        flat = self.stands[:, _HEEL].all(axis=1)
        aside = places[flat, _HEEL, 1].mean() + self.width / 2
        yield np.array([aside / _ASIDE]), slopes[flat, _HEEL, 1].mean(axis=(0, 1))[None] / _ASIDE

    def _push(self, qpos: np.ndarray, places: np.ndarray) -> Iterator[Residual]:
        """The ground pushes where the soles are, from heel to ball and over to the other foot, as on people.

        Slopes are those of a root that moves alone: it takes the push with it, the further the faster its harmonic.
        """
        force, lack = ground_push(self.body, qpos, self._push_path(places), self.stride, self.rate, _GAP)
        gap = _GAP / self.rate
        for track, residual, fixed, moving, close in (
            ("x", lack[:, 0], 1.0, self.body.home[2], _PUSH_PLACE),
            ("y", lack[:, 1], 1.0, self.body.home[2], _PUSH_PLACE),
            ("z", force - self.figures.both_push(self.phase), 0.0, -1.0, _PUSH_FORCE),
        ):
            pace = np.sin(2 * np.pi * _harmonics(track) / self.cycle * gap) / gap  # 1/s, as differences see it
            yield residual / close, self._slope(track, fixed + moving / GRAVITY * pace**2) / close

    def _push_path(self, places: np.ndarray) -> np.ndarray:
        """(T, 2) m on the floor where the ground should push."""
        flat = self.stands[:, :8].all(axis=1)
        ball, heel = (places[flat, part, :2].mean(axis=(0, 1)) for part in (_BALL_AHEAD, _HEEL))
        mirror, step = np.array([1.0, -1.0]), np.array([self.stride / 2, 0.0])

        def under(phase: np.ndarray) -> np.ndarray:
            return heel + np.clip(phase / self.stance.foot_off, 0.0, 1.0)[:, None] * (ball - heel)

        # In the first half of the cycle the left foot, behind, hands over to the right one; then the mirror image.
        first = self.phase[: len(self.phase) // 2]
        over = np.clip(first / (self.stance.foot_off - 0.5), 0.0, 1.0)
        share = (0.5 - 0.5 * np.cos(np.pi * over))[:, None]
        path = share * under(first) + (1 - share) * (under(first + 0.5) * mirror - step)
        return np.concatenate([path, path * mirror + step])

    def _foot(self, qpos: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The right foot's points (T, points, 3) m, and their Jacobian (T, points, 3, unknowns)."""
        model, data = self.body.model, mujoco.MjData(self.body.model)
        owners, local, radius = self.points
        columns = [self.column[f"right_{name}"] - 1 for name in LEG]
        places = np.empty((len(qpos), len(owners), 3))
        ways = np.empty((*places.shape, len(_TRACKS)))
        jacobian = np.zeros((3, model.nv))
        for t, q in enumerate(qpos):
            data.qpos[:] = q
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            rates = _body_rates(found[t, 3], found[t, 4])
            for p, owner in enumerate(owners):
                place = data.xpos[owner] + data.xmat[owner].reshape(3, 3) @ local[p]
                mujoco.mj_jac(model, data, jacobian, None, place, owner)
                places[t, p] = place - [0.0, 0.0, radius[p]]
                ways[t, p] = np.concatenate(
                    [jacobian[:, :3], jacobian[:, 3:6] @ rates, jacobian[:, columns]], axis=1
                )  # fmt: skip
        slopes = [ways[..., i, None] * basis[:, None, None, :] for i, basis in enumerate(self.bases)]
        return places, np.concatenate(slopes, axis=-1)


def _cost(residuals: list[Residual]) -> float:
    """Sum of squares."""
    return float(sum(residual @ residual for residual, _ in residuals))


def _harmonics(track: str) -> np.ndarray:
    """The harmonic (k,) of each unknown of a track: 0 for the mean, where it has one; then cosines and sines."""
    orders = np.arange(1, _ORDERS + 1)
    if track in _ROOT:
        orders = orders[orders % 2 == (0 if track in _EVEN else 1)]
    mean = [] if track in _ROOT and track not in _EVEN else [0]
    return np.concatenate([mean, orders, orders]).astype(int)


def _basis(track: str, phase: np.ndarray) -> np.ndarray:
    """(T, k) what each unknown of a track adds to it."""
    orders = _harmonics(track)
    waves = fourier(phase, orders[orders > 0][: np.count_nonzero(orders) // 2])
    return np.concatenate([np.ones((len(phase), 1)), waves], axis=1) if orders[0] == 0 else waves


def _body_rates(roll: float, pitch: float) -> np.ndarray:
    """(3, 3): angular velocity in the body's axes for unit rates of roll, pitch and yaw, turned last to first."""
    (sr, cr), (sp, cp) = ((np.sin(a), np.cos(a)) for a in (roll, pitch))
    return np.array([[1.0, 0.0, -sp], [0.0, cr, sr * cp], [0.0, -sr, cr * cp]])


def _foot_points(body: Body) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The right foot's points: body ids, places (points, 3) m in the body, and how far (points,) m above the skin.

    Lower corners of the ball's box, two ahead and two behind, and of the heel's; then both ends of the toes' capsules.
    """
    owners, places, radii = [], [], []
    for name in ("right_toe", "right_heel", "right_big_toe", "right_small_toes"):
        geom = body.model.geom(name)
        if name in body.contact_names:
            own, radius = body.corners[body.contact_names.index(name)], 0.0
        else:
            own, radius = np.array([[0.0, 0.0, geom.size[1]], [0.0, 0.0, -geom.size[1]]]), float(geom.size[0])
        found = geom.pos + quat_rotate(np.tile(geom.quat, (len(own), 1)), own)
        places.append(found[np.argsort(-found[:, 0], kind="stable")])
        owners += [int(geom.bodyid[0])] * len(own)
        radii += [radius] * len(own)
    return owners, np.concatenate(places), np.array(radii)


def ground_push(
    body: Body, qpos: np.ndarray, path: np.ndarray, stride: float, fps: float, gap: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The upward push (T,), in weights, that a periodic motion needs, and how much further ahead and to the left
    (T, 2), m for a push of one weight, than at `path` (T, 2) on the floor it would have to act.

    qpos (T, nq) is one cycle without the sample that ends it; rates are differences over `gap` samples.
    """
    model, data = body.model, mujoco.MjData(body.model)
    qvel, qacc = periodic_rates(qpos, stride, fps, gap)
    upward, lack, need = np.empty(len(qpos)), np.empty((len(qpos), 2)), np.empty(model.nv)
    for t in range(len(qpos)):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t], qvel[t], qacc[t]
        for prepare in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_comVel):
            prepare(model, data)
        mujoco.mj_rne(model, data, 1, need)
        moment = quat_rotate(qpos[t, 3:7], need[3:6]) + np.cross(qpos[t, :3] - [*path[t], 0.0], need[:3])
        upward[t], lack[t] = need[2], (-moment[1], moment[0])
    return upward / body.weight, lack / body.weight


def periodic_rates(qpos: np.ndarray, stride: float, fps: float, gap: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Velocities and accelerations (T, nv) of one cycle, qpos (T, nq) without the sample that ends it.

    Differences are central, over `gap` samples to either side, of which a cycle holds a whole number.
    """
    ahead = np.zeros(qpos.shape[1])
    ahead[0] = stride
    qvel, qacc = np.empty((2, len(qpos), qpos.shape[1] - 1))
    for first in range(gap):
        part = qpos[first::gap]
        rates = velocities(np.concatenate([part[-2:] - ahead, part, part[:2] + ahead]), fps / gap)[1:-1]
        qvel[first::gap], qacc[first::gap] = rates[1:-1], (rates[2:] - rates[:-2]) * (fps / gap / 2)
    return qvel, qacc
