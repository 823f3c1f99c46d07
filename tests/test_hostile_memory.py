"""Small files that would fill the memory are refused before they do, all in one process, whose peak is measured."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import hostile
from helpers.examples import motion_files, run_files

from gait_envs.control.muscle_network import FORMAT
from gait_envs.reference.clip import ClipError, load_clip

MOST = 500  # MB of memory in use, libraries included

READ_ALL = """
import json, sys
from pathlib import Path
from gait_envs.control.muscle_network import load_muscle_network
from gait_envs.errors import GaitNetError
from gait_envs.models.robot import muscle_humanoid
from gait_envs.reference.catalogue import read_entry
from gait_envs.reference.clip import load_clip
from gait_envs.reference.packed import load_packed
from gait_trainers.models.motion import load_motion_model
from gait_trainers.policies.loading import load_policy
from gait_trainers.runs.loggers import read_metrics

def peak():
    # Of this program alone: ru_maxrss begins with that of the process which started it.
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


READ = {
    "clip": load_clip, "entry": lambda path: read_entry(path, path.parent), "packed": load_packed,
    "muscles": lambda path: load_muscle_network(path, muscle_humanoid().muscles), "policy": load_policy,
    "metrics": read_metrics, "motion": load_motion_model,
}
found = []
for kind, path in json.loads(sys.argv[1]):
    try:
        READ[kind](Path(path))
        said = "read"
    except (GaitNetError, OSError) as error:
        said = str(error)
    found.append((said, peak()))
print(json.dumps(found))
"""


def run_with(folder: Path, old: str, new: str, **sizes: int) -> Path:
    """A run whose configuration or declared sizes are others."""
    from gait_trainers.runs.checkpoint import load_checkpoint, save_checkpoint
    from gait_trainers.runs.run_folder import Run

    for name, data in run_files().items():
        path = folder / Path(name).relative_to("run")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    config = (folder / "config.yaml").read_text()
    assert old in config
    (folder / "config.yaml").write_text(config.replace(old, new))
    run = Run(folder)
    state = load_checkpoint(run.checkpoints()[-1])
    save_checkpoint(run, state | {"spaces": state["spaces"] | sizes}, 64, keep=1)
    return folder


def hostile_files(tmp_path: Path) -> list[tuple[str, Path, str]]:
    """What reads it, the file, and what is said of it."""
    needless = hostile.add_zeros(hostile.clip(tmp_path / "needless.npz"), "more", (hostile.HUGE // 8,))
    large = hostile.add_zeros(hostile.clip(tmp_path / "large.npz"), "qpos", (hostile.HUGE // 72, 9))
    meta = hostile.add_zeros(hostile.clip(tmp_path / "meta.npz"), "license", (hostile.HUGE // 8,))
    lying = hostile.add_zeros(hostile.clip(tmp_path / "lying.npz"), "qvel", (4, 8))
    np.savez(tmp_path / "net.npz", format=FORMAT)
    network = hostile.add_zeros(tmp_path / "net.npz", "muscles", (hostile.HUGE // 8,))
    many = tmp_path / "many.csv"
    many.write_text("a\n" + "1\n" * 2_000_000)
    fold = hostile.bundle(tmp_path / "fold", policy__onnx=hostile.network_of_zeros(30_000, 30_000))
    items = hostile.bundle(tmp_path / "items", policy__json=b"[" + b"[],".ljust(3) * 1_300_000 + b"[]]")
    observed = run_with(tmp_path / "observed", "policy: [3]", "policy: [3]", obs_size=300_000_000)
    layers = run_with(tmp_path / "layers", "policy: [3]", "policy: [30000, 30000]")
    (tmp_path / "motion.npz").write_bytes(motion_files()["run/model.npz"])
    motion = hostile.add_zeros(tmp_path / "motion.npz", "weights/head.bias", (hostile.HUGE // 8,))
    options = run_with(tmp_path / "options", "kwargs: {", "kwargs: {randomize: {latency: [0, 1000000000]}, ")
    return [
        ("clip", needless, "read"),
        ("entry", needless, "read"),
        ("entry", large, "read"),
        ("clip", large, "qpos: its shape .* takes 67108.* bytes, the limit is 134217728 for all"),
        ("clip", meta, "license: it holds float64, expected text"),
        ("entry", meta, "license: it holds float64, expected text"),
        ("clip", lying, r"qvel: the archive holds 671088640 bytes, its header says \(4, 8\)"),
        ("muscles", network, "muscles: its shape .* the limit is"),
        ("metrics", many, "more than 200000 lines"),
        ("motion", motion, "weights/head.bias: its shape .* takes 67108.* bytes, the limit is"),
        ("policy", fold, "constant numbers"),
        ("policy", items, "more than 1000000 values"),
        ("policy", observed, "at most 16777216 are read"),
        ("policy", layers, "at most 16777216 are read"),
        ("policy", options, "expected a number up to 1000|latency"),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in kilobytes on Linux alone")
def test_no_small_file_fills_the_memory(tmp_path: Path) -> None:
    files = hostile_files(tmp_path)
    assert max(path.stat().st_size for _, path, _ in files if path.is_file()) < 12 << 20
    given = json.dumps([(kind, str(path)) for kind, path, _ in files])

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (120, 120))

    done = subprocess.run([sys.executable, "-c", READ_ALL, given], capture_output=True, text=True, check=False,
                          preexec_fn=limit, cwd=Path(__file__).parent.parent)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    for (_, path, expected), (said, _) in zip(files, found, strict=True):
        assert re.search(expected, said), f"{path}: {said}"
        assert said == "read" or (str(path) in said and "\n" not in said)
    peaks = {path.name: peak for (_, path, _), (_, peak) in zip(files, found, strict=True)}
    assert max(peaks.values()) <= MOST, peaks


def test_the_limit_of_a_clip_can_be_set(tmp_path: Path) -> None:
    path = hostile.clip(tmp_path / "walk.npz")
    with pytest.raises(ClipError, match=r"walk\.npz: .*qpos: its shape \(4, 9\) takes 288 .*limit is 200 for all"):
        load_clip(path, limit=200)
    assert load_clip(path, limit=1000).frames == 4
