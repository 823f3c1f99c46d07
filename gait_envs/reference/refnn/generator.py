"""Reference motion from a RefNN instead of clips: `reference="refnn:NAME"`, a bundled model or a folder, alone.

Walks at speeds `STEP` m/s apart, with the stride that the network's own walkers take there, stand in for the clips of a
set, so that everything that plays, weighs or names clips works unchanged; they are made in memory. A walker with
a stride, cadence or segment lengths of its own gets the cycle that the network makes for exactly these, not a clip
played slower or stretched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gait_envs.reference.clip import Clip, velocities
from gait_envs.reference.refnn.cycles import Cycles, make_cycles
from gait_envs.reference.refnn.network import ReferenceNetwork, RefNNError, load_network
from gait_envs.reference.refnn.walks import CYCLE, from_coordinates
from gait_envs.rotations import quat_conj, quat_mul, quat_to_rotvec

PREFIX = "refnn:"
FPS = 30.0  # Hz, the humanoid's control rate
STEP = 0.1  # m/s between two walks
REMEMBERED = 4096  # cycles of walkers
_NEAR = 0.125 / CYCLE  # of a cycle, to either side of a phase, over which a velocity is taken

_LEG = ("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion", "ankle_dorsiflexion", "ankle_inversion",
        "ankle_rotation", "big_toe_extension", "small_toes_extension")  # fmt: skip
_ARM = ("shoulder_protraction", "shoulder_elevation", "shoulder_rotation", "arm_flexion", "arm_abduction",
        "arm_rotation", "elbow_flexion", "hand_pronation", "hand_deviation", "hand_flexion")  # fmt: skip
JOINTS = (
    *(f"{side}_{joint}" for side in ("right", "left") for joint in _LEG),
    *(f"{part}_{way}" for part in ("spine", "torso", "neck", "head") for way in ("flexion", "bending", "rotation")),
    *(f"{side}_{joint}" for side in ("right", "left") for joint in _ARM),
)


def named_model(source: object) -> str | None:
    """The model in `refnn:NAME`, or in a list of that alone; None for any other source of clips."""
    if isinstance(source, list | tuple) and len(source) == 1:
        source = source[0]
    return str(source).removeprefix(PREFIX) if str(source).startswith(PREFIX) else None


def generated_clips(network: ReferenceNetwork, step: float = STEP) -> list[Clip]:
    """Looping walks of one cycle at speeds `step` apart; their cadence is such that a cycle has whole frames.

    Speeds at which the network was not trained for such a walk are left out; RefNNError where none is left.
    """
    facts, rows = network.facts, []
    slowest, fastest = facts.speeds / step
    for speed in np.arange(np.ceil(slowest - 1e-9), np.floor(fastest + 1e-9) + 1) * step:
        frames = max(2, round(float(np.polynomial.polynomial.polyval(speed, facts.natural)) / speed * FPS))
        rows.append((float(speed), frames, speed * frames / FPS, 120.0 * FPS / frames))
    within = [row for row in rows if _knows(network, stride=row[2], cadence=row[3])]
    if not within:
        raise RefNNError(f"{network.name}: it knows no walk between {facts.speeds[0]:g} and {facts.speeds[1]:g} m/s")
    stride, cadence = np.array(within)[:, 2:].T
    cycles = make_cycles(network, network.params({"stride": stride, "cadence": cadence}, len(within)))
    return [_clip(network, cycles, i, *row) for i, row in enumerate(within)]


def _knows(network: ReferenceNetwork, **values: float) -> bool:
    try:
        network.params(values, 1)
    except RefNNError:
        return False
    return True


def _clip(
    network: ReferenceNetwork, cycles: Cycles, row: int, speed: float, frames: int, stride: float, cadence: float
) -> Clip:
    phase = np.arange(-1, frames + 2) / frames
    qpos = from_coordinates(cycles.at(phase, np.full(len(phase), row))[0])
    qpos[:, 3:7] *= np.where(qpos[:, 3:4] < 0, -1.0, 1.0)
    return Clip(
        qpos=qpos[1:-1],
        qvel=velocities(qpos, FPS)[1:-1],
        fps=FPS,
        joint_names=JOINTS,
        loop=True,
        model="humanoid",
        source=f"RefNN {network.name}",
        license="as the model's",
        name=f"walk_{round(100 * speed):03d}",
        meta={"activity": "walk", "speed": speed, "stride": stride, "cadence": cadence, "cycle": frames / FPS},
    )


class Generator:
    """The motion of walkers that step in their own way; remembers their cycles, which follow from the walkers alone."""

    def __init__(self, network: ReferenceNetwork, clips: Sequence[Clip], segments: Sequence[str]) -> None:
        """clips: of `generated_clips`; segments: names of the scales in a walker's row, after stride and cadence."""
        self.network, self.segments = network, tuple(segments)
        self.stride = np.array([clip.meta["stride"] for clip in clips])  # (clips,) m
        self.cadence = np.array([clip.meta["cadence"] for clip in clips])  # (clips,) steps/min
        self.frames = np.array([clip.frames - 1 for clip in clips])  # (clips,) control steps a cycle
        self._rows: dict[bytes, int] = {}
        self._cycles = Cycles(np.zeros((0, CYCLE, 56)), np.zeros(0))

    def played(
        self, clip: np.ndarray, at: np.ndarray, walker: np.ndarray, leg: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions (k, 57) and velocities (k, 56) of walkers along clips (k,), in the walk's own coordinates.

        at (k,): frames at the clip's cadence; walker (k, 2 + segments): stride, cadence and scales; leg (k,): length of
        their legs relative to the model's. Raises RefNNError for parameters that the network was not trained for.
        """
        rows, grown = self._cycles_of(clip, walker, leg)
        phase = at / self.frames[clip]
        before, here, after = (from_coordinates(self._cycles.at(phase + d, rows)[0]) for d in (-_NEAR, 0.0, _NEAR))
        seconds = (2 * _NEAR * 120.0 / (self.cadence[clip] * walker[:, 1]))[:, None]
        turn = quat_to_rotvec(quat_mul(quat_conj(before[:, 3:7]), after[:, 3:7]))
        change = [after[:, :3] - before[:, :3], turn, after[:, 7:] - before[:, 7:]]
        qvel = np.concatenate(change, axis=1) / seconds
        here[:, :3] *= grown[:, None]
        qvel[:, :3] *= grown[:, None]
        return here, qvel

    def _cycles_of(self, clip: np.ndarray, walker: np.ndarray, leg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows (k,) of these walkers' cycles, and factors (k,) on their roots' positions.

        A network that was not trained for other lengths makes the walk of the model's body, which longer legs stretch.
        """
        scales = {f"scale.{name}": walker[:, 2 + i] for i, name in enumerate(self.segments)}
        known = {name: values for name, values in scales.items() if name in self.network.facts.names}
        grown = np.ones(len(clip)) if len(known) == len(scales) else leg
        values = {
            "stride": self.stride[clip] * walker[:, 0] * leg / grown,
            "cadence": self.cadence[clip] * walker[:, 1],
            **(known if len(known) == len(scales) else {}),
        }
        params = np.stack(list(values.values()), axis=1)
        keys = [row.tobytes() for row in params]
        new = [i for i, key in enumerate(keys) if key not in self._rows]
        if new:
            if len(self._rows) + len(new) > REMEMBERED:
                self._rows, new = {}, list(range(len(keys)))
                self._cycles = Cycles(np.zeros((0, CYCLE, 56)), np.zeros(0))
            table = self.network.params({name: own[new] for name, own in values.items()}, len(new))
            made = make_cycles(self.network, table)
            first = len(self._cycles.stride)
            self._rows |= {keys[i]: first + k for k, i in enumerate(new)}
            self._cycles = Cycles(
                np.concatenate([self._cycles.coordinates, made.coordinates]),
                np.concatenate([self._cycles.stride, made.stride]),
            )
        return np.array([self._rows[key] for key in keys]), grown


def open_generator(source: object, clips: Sequence[Clip], segments: Sequence[str]) -> Generator | None:
    """The generator behind `refnn:NAME`, whose walks are `clips`; None for any other source."""
    name = named_model(source)
    return None if name is None else Generator(load_network(name), clips, segments)
