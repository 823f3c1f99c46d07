"""A small valid example of everything in the table of loaders: what the fuzzer damages.

A loader that enrols itself needs a line in `EXAMPLES`; a test says so.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.biomechanics.normative import COLUMNS, EMG_FILE, EMG_NAMES, FILES, PERCENT
from gait_envs.biomechanics.published_gait import groups_of_speed
from gait_envs.mocap.capture import Capture
from gait_envs.mocap.cleaning.convert import Cleaning, convert
from gait_envs.mocap.formats import open_with_gaps
from gait_envs.mocap.jobs import naming
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.reference.clip import save_clip
from gait_envs.reference.packing import pack
from helpers import acclaim
from helpers.drawn import wander

Files = dict[str, bytes]


def nothing(path: Path, found: Any) -> None:
    """For loaders whose result needs no second look."""


def same(files: Files) -> Files:
    """For files that nothing vouches for."""
    return files


@dataclass(frozen=True)
class Example:
    """Files that belong together, and how they are read."""

    files: Files  # name below a folder -> content
    opened: str = ""  # what the loader is given: a file or a folder, below that folder; empty: the first file
    arguments: tuple[Any, ...] = ()  # further ones of the loader
    look: Callable[[Path, Any], None] = nothing  # what is done with the result next, which must not fail either
    seal: Callable[[Files], Files] = same  # checksums that fit the damaged files, so that more than they is tested
    whole: tuple[str, ...] = ()  # files that are never damaged
    limit: float = 1.0  # s of processor time to read it and to look at it

    @property
    def path(self) -> str:
        return self.opened or next(iter(self.files))

    def with_files(self, files: Files) -> Example:
        return replace(self, files=files)


def archive(**arrays: Any) -> bytes:
    """An .npz."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def written(write: Callable[[Path], Any]) -> Files:
    """The files that a function writes below the folder it is given."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name))
        paths = [path for path in sorted(Path(name).rglob("*")) if path.is_file()]
        return {str(path.relative_to(name)): path.read_bytes() for path in paths}


# -- captures ---------------------------------------------------------------------------------------------

BVH = """HIERARCHY
ROOT Hips
{
\tOFFSET 0 0 0
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT Knee
\t{
\t\tOFFSET 0 -40.5 0
\t\tCHANNELS 3 Xrotation Yrotation Zrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0 -30 0
\t\t}
\t}
\tJOINT Chest
\t{
\t\tOFFSET 0 20 1e-3
\t\tCHANNELS 4 Yposition Zrotation Yrotation Xrotation
\t}
}
MOTION
Frames: 3
Frame Time: 0.0333333
0 90 0 0 0 0 0 0 0 20 1 2 3
1 90 2 90 -12.5 0 90 0 0 20 1 2 3
1 90 2 30 40 50 60 70 80 21 1 2 3
"""
AMC = """#!OML
:FULLY-SPECIFIED
:DEGREES
1
root 10.4 16.7 -30.1 -2.5 -9.8 -3
lfemur -28 -1 -20.2
ltibia 22.4
2
root 10.3 16.7 -29.9 -2.7 -10 -2.8
lfemur -27 -1.1 -20.1
ltibia 22
"""
META = {"origin": {"license": "CC0"}, "history": ["made"], "notes": []}


def unit_rows(*shape: int) -> np.ndarray:
    """Small turns: a body that flails from frame to frame would be taken for a rest pose and a cut."""
    values = np.array([1.0, 0, 0, 0]) + 0.02 * np.random.default_rng(0).normal(size=(*shape, 4))
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def deepmimic() -> bytes:
    turns = unit_rows(3, 8).round(6).tolist()
    rows = [[0.0333, 0, 0.9, 0, *q[0], *q[1], *q[2], *q[3], 0.1, *q[4], *q[5], 0.2, *q[6], -0.1, *q[7], *q[0], 0.3]
            for q in turns]  # fmt: skip
    return json.dumps({"Loop": "wrap", "Frames": rows}, indent=1).encode()


def smpl(poses: str, place: str, rate: str) -> bytes:
    turns = np.random.default_rng(1).normal(size=(3, 72)) * 0.02
    return archive(**{poses: turns, place: np.ones((3, 3)), rate: np.array(60.0), "gender": "neutral"})


CAPTURES: dict[str, list[Files]] = {
    "bvh": [{"seed.bvh": BVH.encode()}],
    "asfamc": [{"seed.amc": AMC.encode(), "seed.asf": acclaim.ASF.encode()}],
    "capture": [
        {
            "seed.npz": archive(
                format="capture",
                format_version=1,
                names=np.array(["hips", "knee"]),
                parents=np.array([-1, 0]),
                offsets=np.ones((2, 3)),
                rotations=unit_rows(3, 2).astype("f4"),
                translations=np.ones((3, 2, 3), "f4"),
                fps=60.0,
                unit=1.0,
                up="+z",
                meta=json.dumps(META),
            )
        }
    ],
    "smpl": [
        {"seed.npz": smpl("poses", "trans", "mocap_framerate")},
        {"seed.npz": smpl("pose_aa", "root_trans_offset", "fps")},
    ],
    "isaac": [
        {
            "seed.npz": archive(
                local_rotation_xyzw=unit_rows(3, 2),
                root_translation=np.zeros((3, 3)),
                node_names=np.array(["pelvis", "left_foot"]),
                parent_indices=np.array([-1, 0]),
                local_translation=np.ones((2, 3)),
                fps=np.array(30),
            )
        }
    ],
    "positions": [
        {"seed.npz": archive(positions=np.ones((3, 2, 3)), names=np.array(["a", "b"]), fps=np.array(30.0))},
        {"seed.csv": b"time,a_x,a_y,a_z,b_x,b_y,b_z\n0,0,1,0,0,2,0\n0.01,0,1,0,0,2.5,0\n0.02,1e-3,1,0,0,2,-1\n"},
    ],
    "deepmimic": [{"seed.txt": deepmimic()}],
}


def captures(format: str) -> list[Example]:
    def look(path: Path, found: Capture) -> None:
        """The frames as they are in the file, then the way `gait-data import` reads them, gaps and all."""
        read_through(found)
        with naming(path):  # not every example has legs that could tell unit and axis
            read_through(convert(open_with_gaps(path, format), Cleaning(unit="cm", up="y")))

    return [Example(files, look=look) for files in CAPTURES[format]]


def read_through(capture: Capture) -> None:
    """Every frame, in blocks of two, is sound."""
    nodes, frames = len(capture.skeleton.names), 0
    assert len(set(capture.skeleton.names)) == nodes, "names are not unique"
    assert (capture.skeleton.parents < np.arange(nodes)).all(), "a parent comes after its child"
    assert np.isfinite(capture.skeleton.offsets).all(), "offsets are not finite"
    assert 0 < capture.fps < np.inf, f"fps is {capture.fps}"
    for rotations, translations in capture.blocks(2):
        count = len(rotations)
        assert 0 < count <= 2, f"a block of {count} frames"
        assert rotations.shape == (count, nodes, 4), f"rotations {rotations.shape}"
        assert translations.shape == (count, nodes, 3), f"translations {translations.shape}"
        assert np.isfinite(translations).all(), "translations are not finite"
        assert np.abs(np.linalg.norm(rotations, axis=-1) - 1).max() < 1e-6, "quaternions are not unit"
        frames += count
    assert frames == capture.frames, f"{frames} frames of {capture.frames}"


# -- clips and what belongs to them -----------------------------------------------------------------------


def clip_file() -> Files:
    return written(lambda folder: save_clip(folder / "seed.npz", wander(4, 0, meta={"subject": "one"})))


def packed() -> list[Example]:
    def look(path: Path, found: Any) -> None:
        for at in range(len(found)):
            assert len(found[at].qpos) == len(found.read(at).qpos) == found.lengths[at]
            assert isinstance(found.meta(at), dict)

    clips = [wander(3, 0, meta={"subject": "one"}), wander(4, 1, loop=False)]
    return [Example(written(lambda folder: pack(clips, folder / "set")), "set", look=look)]


def retarget() -> list[Example]:
    robot = asset_path("wildrobot/retarget.yaml").parent
    others = {str(path.relative_to(robot)): path.read_bytes() for path in robot.rglob("*")
              if path.suffix in (".xml", ".stl", ".obj")}  # fmt: skip
    files = {"retarget.yaml": (robot / "retarget.yaml").read_bytes(), **others}
    return [Example(files, look=lambda path, _: load_body(path), whole=tuple(others), limit=3.0)]


def normative() -> list[Example]:
    rows = [",".join(COLUMNS)]
    tables = {}
    for name, wanted in FILES.items():
        body = [",".join([variable, f"{at:g}", group, "-1", "0", "1"])
                for variable in wanted.values() for group in groups_of_speed() for at in PERCENT]  # fmt: skip
        tables[f"tables/{name}"] = "\n".join(rows + body).encode()
    emg = {"NORMAL_STANCE_PHASE": 60, "Activation": {theirs: [0, 10, 90, 100, "na"] for theirs in EMG_NAMES.values()}}
    return [Example(tables | {f"tables/{EMG_FILE}": json.dumps(emg).encode()}, "tables")]


def muscle_network() -> list[Example]:
    from gait_envs.control.muscle_network import save_muscle_network
    from gait_envs.models.robot import muscle_humanoid

    muscles = muscle_humanoid().muscles
    assert muscles is not None
    inputs, outputs = len(muscles.entry_dof) + len(muscles.dofs), len(muscles.names)
    layers = [(np.zeros((inputs, 2)), np.zeros(2)), (np.zeros((2, outputs)), np.zeros(outputs))]

    def look(path: Path, found: Any) -> None:
        activation = found(np.zeros((1, len(muscles.entry_dof))), np.zeros((1, len(muscles.dofs))))
        assert activation.shape == (1, outputs)

    files = written(lambda folder: save_muscle_network(folder / "seed.npz", layers, muscles))
    return [Example(files, arguments=(muscles,), look=look)]


# -- what trainings leave ---------------------------------------------------------------------------------

CONFIG = """algorithm: ppo
env:
  id: GaitNet/WildRobot-v0
  num_envs: 4
  kwargs: {previous_action: all, reward_weights: {alive: 0.5}}
networks: {policy: [3], value: [2], activation: elu}
ppo: {n_steps: 8, minibatches: 2, normalize_obs: true}
run: {iterations: 2, seed: 1}
"""


@functools.cache
def run_files() -> Files:
    """A run folder with one checkpoint of an untrained policy."""
    from gait_trainers.config.layers import load_config
    from gait_trainers.models.actor_critic import build_policy
    from gait_trainers.runs.checkpoint import save_checkpoint
    from gait_trainers.runs.run_folder import Run

    def write(folder: Path) -> None:
        (folder / "run" / "checkpoints").mkdir(parents=True)
        (folder / "run" / "config.yaml").write_text(CONFIG)
        sizes = {"obs_size": 39, "action_size": 9}
        norm = {"mean": np.zeros(39), "var": np.ones(39), "count": 8.0, "clip_obs": 10.0, "epsilon": 1e-8}
        policy = build_policy(load_config(folder / "run" / "config.yaml").networks, **sizes)
        weights = {name: 0 * weight for name, weight in policy.state_dict().items()}  # the same bytes each time
        state = {"spaces": sizes, "policy": weights, "vec_normalize": norm, "learners": {}}
        save_checkpoint(Run(folder / "run"), state, 64, keep=1)

    return written(write)


def acts(path: Path, policy: Any) -> None:
    """Two first observations give two actions."""
    size = policy.layout[-1]["index"][1] if policy.layout else 39
    action, _ = policy.act(np.zeros((2, size), np.float32), policy.initial_state(2), np.ones(2, bool))
    assert np.isfinite(action).all()


def run_folder() -> list[Example]:
    return [Example(run_files(), "run", look=acts, limit=5.0)]


def checkpoint() -> list[Example]:
    (name,) = (name for name in run_files() if name.endswith(".pt"))
    return [Example({name: run_files()[name]})]


def bundle() -> list[Example]:
    folder = asset_path("policies/wildrobot_walk/policy.json").parent
    files = {f"bundle/{p.name}": p.read_bytes() for p in folder.iterdir() if p.suffix in (".json", ".onnx")}

    def seal(files: Files) -> Files:
        sums = [f"{hashlib.sha256(data).hexdigest()}  {name.removeprefix('bundle/')}\n"
                for name, data in files.items() if not name.endswith("SHA256SUMS")]  # fmt: skip
        return files | {"bundle/SHA256SUMS": "".join(sums).encode()}

    return [Example(seal(files), "bundle", look=acts,
                    seal=seal, limit=5.0)]  # fmt: skip


def motion_model() -> list[Example]:
    """An untrained model of motion."""
    return [Example(motion_files(), "run/model.npz", look=predicts, limit=3.0)]


def motion_run() -> list[Example]:
    """A run, and one of its checkpoints; what is read must restore the training, or be refused."""

    def look(path: Path, found: Any) -> None:
        from gait_trainers.pretrain.motionnn.train import restored

        folder = path if path.is_dir() else path.parent.parent
        training = restored(found, str(folder.parent / "clips"))
        training.stream.close()

    files = motion_run_files()
    clips = tuple(name for name in files if name.startswith("clips/"))
    (checkpoint,) = (name for name in files if name.endswith(".pt"))
    return [Example(files, opened, look=look, whole=clips, limit=5.0) for opened in ("run", checkpoint)]


@functools.cache
def motion_run_files() -> Files:
    """A clip, and a run folder of motionnn after one update on it."""
    from gait_trainers.pretrain.motionnn.config import load_motion_config
    from gait_trainers.pretrain.motionnn.train import train
    from helpers.strolls import stroll

    settings = {
        "data.workers": 0, "data.test_share": 0.0, "data.mirrored": False, "data.style_offset": 0.0,
        "data.style_scale": 0.0, "model.settings.hidden": [2], "optim.updates": 1, "optim.least_windows": 2,
        "optim.batch_frames": 2, "run.tensorboard": False,
    }  # fmt: skip

    def write(folder: Path) -> None:
        save_clip(folder / "clips" / "a.npz", stroll("a", 70))
        train(load_motion_config(overrides=settings), str(folder / "clips"), folder / "run")

    found = written(write)
    kept = ("clips/", "run/config.yaml", "run/provenance.json", "run/checkpoints/")
    return {name: data for name, data in found.items() if name.startswith(kept)}


@functools.cache
def motion_files() -> Files:
    """A model of motion whose weights are zero."""
    import torch

    from gait_envs.models.robot import wildrobot
    from gait_trainers.models.motion import MotionModel, save_motion_model, spec_of

    def write(folder: Path) -> None:
        model = MotionModel(spec_of(wildrobot(), "mlp", "heading", ("speed",), {"hidden": [2]}))
        with torch.no_grad():
            for weight in model.parameters():
                weight.zero_()
        save_motion_model(folder / "run" / "model.npz", model, {"seed": 0, "cycle_rate": np.ones(2)})

    return written(write)


def predicts(path: Path, found: Any) -> None:
    """Two frames from a state at rest are finite, and so are an encoder's features."""
    import torch

    model, _ = found
    told = {"speed": torch.ones(1, 4, 1)}
    with torch.no_grad():
        assert torch.isfinite(model.rollout(torch.zeros(1, 1, 2 * len(model.coordinates)), 2, told)).all()
        assert torch.isfinite(model.encode(torch.zeros(1, model.entries.size))).all()


# -- RefNN ------------------------------------------------------------------------------------------------


def recorded_walks() -> list[Example]:
    from gait_envs.reference.refnn.walks import Walks, save_walks

    motions = np.zeros((4, 57))
    motions[:, 56] = [0.0, 0.1, 0.0, 0.1]
    walks = Walks(np.ones((2, 2)), ("stride", "cadence"), motions, np.array([2, 2]), ("a", "b"), 30.0, "seed", "MIT")
    return [Example(written(lambda folder: save_walks(folder / "seed.npz", walks)))]


def gait_sequences() -> list[Example]:
    from gait_envs.reference.refnn.walks import save_sequences
    from helpers.still_refnn import sequences

    return [Example(written(lambda folder: save_sequences(folder / "seed.npz", sequences(2))))]


def refnn() -> list[Example]:
    from helpers.still_refnn import gliding, write_model

    def look(path: Path, found: Any) -> None:
        params = found.params({}, 2)
        assert np.isfinite(found(params, np.zeros(2))).all()

    def seal(files: Files) -> Files:
        digest = hashlib.sha256(files["mine/refnn.npz"]).hexdigest()
        return files | {"mine/SHA256SUMS": f"{digest}  refnn.npz\n".encode()}

    return [Example(written(lambda folder: write_model(folder / "mine", gliding())), "mine", look=look, seal=seal)]


def refnn_run() -> list[Example]:
    """A run folder of refnn after one iteration, and its checkpoint; the training must be restored, or refused."""

    def look(path: Path, found: Any) -> None:
        from gait_trainers.pretrain.refnn.run import restored

        folder = path if path.is_dir() else path.parent.parent
        restored(found, [folder.parent / "data"])

    files = refnn_run_files()
    (checkpoint,) = (name for name in files if name.endswith(".pt"))
    return [Example(files, opened, look=look, whole=("data/0.npz",), limit=5.0) for opened in ("run", checkpoint)]


@functools.cache
def refnn_run_files() -> Files:
    from gait_envs.reference.refnn.walks import save_sequences
    from gait_trainers.pretrain.refnn.config import RefNNConfig
    from gait_trainers.pretrain.refnn.run import train_refnn
    from helpers.still_refnn import sequences

    config = RefNNConfig(hidden=[2], epochs=1, replay=8, stream_batch=8, stream_scale=2, iterations=1, holdout=0.0)

    def write(folder: Path) -> None:
        (folder / "data").mkdir()
        save_sequences(folder / "data" / "0.npz", sequences(6))
        train_refnn([folder / "data"], folder / "run", config)

    found = written(write)
    kept = ("data/", "run/config.yaml", "run/provenance.json", "run/checkpoints/")
    return {name: data for name, data in found.items() if name.startswith(kept)}


def backward_network() -> list[Example]:
    import torch

    from gait_trainers.models.backward import BackwardNet
    from gait_trainers.models.ref_nn import RefNN
    from gait_trainers.pretrain.refnn.backward import save_backward
    from helpers.still_refnn import facts

    network = RefNN(facts(), [2])
    model = BackwardNet(network, torch.zeros(101), torch.ones(101), torch.Generator().manual_seed(0))
    return [Example(written(lambda folder: save_backward(folder / "seed.pt", model)), arguments=(network,), limit=3.0)]


TABLE = b'file,source,license,subject,activity\n02/02_01.amc,CMU 02_01,"CMU: free, for all",02,walk\nb.bvh,,CC0,,\n'
SPLIT = {"clips": "..", "by": "subject", "seed": 0, "parts": {"train": ["a", "b"], "test": ["c"]}}
SET_PAGE = {"clips": [{"name": "a", "verdict": "failed", "faults": ["why"], "capture": "a.bvh"}]}


def demonstrations() -> list[Example]:
    from gait_trainers.imitation.demonstrations import Demonstrations, Episode, save_demonstrations

    rng = np.random.default_rng(0)
    episodes = [
        Episode(rng.normal(size=(t + 1, 2)).astype("f4"), rng.normal(size=(t, 1)).astype("f4"), rng.normal(size=t),
                False, True, {"fall": np.zeros(t, dtype=bool)})
        for t in (2, 3)
    ]  # fmt: skip
    found = Demonstrations(
        episodes, "GaitNet/WildRobot-v0", {"previous_action": "all"}, [{"name": "x"}], {"expert": "e"}
    )
    return [Example(written(lambda folder: save_demonstrations(folder / "seed.npz", found)))]


EXAMPLES: dict[str, Callable[[], list[Example]]] = {
    **{f"capture {name}": functools.partial(captures, name) for name in CAPTURES},
    "clip": lambda: [Example(clip_file())],
    "clip header": lambda: [Example(clip_file(), arguments=(Path("/"),))],
    "packed set": packed,
    "set page": lambda: [Example({"set/set.json": json.dumps(SET_PAGE).encode()}, "set")],
    "split": lambda: [Example({"split.json": json.dumps(SPLIT, indent=1).encode()}, arguments=("train",))],
    "retarget description": retarget,
    "joint map": lambda: [Example({"map.yaml": b"left_hip: LeftUpLeg\nleft_knee: LeftLeg\nright_hip: RightUpLeg\n"})],
    "provenance": lambda: [Example({"table.csv": TABLE})],
    "provenance of a BVH": lambda: [Example({"seed.bvh": BVH.encode(), "seed.json": json.dumps(META).encode()})],
    "normative data": normative,
    "muscle network": muscle_network,
    "configuration": lambda: [Example({"config.yaml": CONFIG.encode()})],
    "kind of run": lambda: [Example({"config.yaml": CONFIG.encode()}, arguments=("policy",))],
    "metrics": lambda: [Example({"metrics.csv": b"iteration,success_rate\n1,0.5\n2,0.75\n"})],
    "checkpoint": checkpoint,
    "demonstrations": demonstrations,
    "run folder": run_folder,
    "walks": recorded_walks,
    "gait sequences": gait_sequences,
    "refnn": refnn,
    "refnn configuration": lambda: [Example({"config.yaml": b"hidden: [8]\nlearning_rate: 0.001\nseed: 3\n"})],
    "refnn run": refnn_run,
    "backward network": backward_network,
    "bundle": bundle,
    "registry index": lambda: [
        Example({"index.json": b'{"walker": {"versions": [1, 2], "aliases": {"champion": 2}}}'})
    ],
    "service settings": lambda: [
        Example({"service.yaml": b"port: 8080\nquota: {sessions: 3, hours: 1.5}\nhosts: [a]\n"})
    ],
    "motion model": motion_model,
    "motion run": motion_run,
    "motion configuration": lambda: [Example({"config.yaml": b"loss: {horizon: 3}\nmodel: {network: gru}\n"})],
    "body parameters": lambda: [
        Example({"weak.yaml": b"force: {left_soleus: 0.5}\nmass: 1.1\n"}, arguments=("--weak",)),
        Example({"weak.json": b'{"force": {"left_soleus": 0.5}}'}, arguments=("--weak",)),
    ],
}
