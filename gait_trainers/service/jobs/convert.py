"""A process of its kind: an uploaded capture through `gait-data import`, then `gait-data retarget`.

    python -m gait_trainers.service.jobs.convert FOLDER FORMAT BODY

FOLDER holds `capture.<suffix>`, and gets `clip.npz`, its page `clip.png`, and `result.json`, which is written last.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from gait_envs.errors import GaitNetError
from gait_envs.files import write_durably
from gait_envs.reference.clip import load_clip
from gait_trainers.service.jobs.commands import CAPTURES
from gait_trainers.service.jobs.process import faults_in_a_line, python
from gait_trainers.service.operations.motions import PROVENANCE

# Of this process and those that it starts: bytes of memory, s of processor, bytes of a file.
LIMITS = {resource.RLIMIT_AS: 12 << 30, resource.RLIMIT_CPU: 3600, resource.RLIMIT_FSIZE: 2 << 30}


def convert(folder: Path, format: str, body: str) -> dict[str, Any]:
    """Figures of the clip that was made."""
    capture = folder / CAPTURES[format]
    reading = ["--asf", str(folder / "skeleton.asf")] if format == "asf-amc" else []
    if (folder / PROVENANCE).is_file():
        reading += ["--table", str(folder / PROVENANCE)]
    imported = folder / "imported"
    _run("import", str(capture), "--out", str(imported), *reading)
    made = sorted(imported.glob("*.npz"))
    if len(made) != 1:
        raise GaitNetError("the import made no capture")
    _run("retarget", str(made[0]), "--robot", body, "--out", str(folder / "clip.npz"))
    clip = load_clip(folder / "clip.npz")
    return {
        "frames": len(clip.qpos),
        "fps": clip.fps,
        "seconds": (len(clip.qpos) - 1) / clip.fps,
        "quality": _finite(clip.meta.get("quality", {})),
        "notes": [str(note) for note in clip.meta.get("notes", [])],
        "faults": [str(fault) for fault in clip.meta.get("faults", [])],
    }


def _run(*words: str) -> None:
    status = subprocess.run(python("gait_envs.mocap.cli", *words), stderr=subprocess.STDOUT, check=False).returncode
    if status:
        sys.exit(status)


def _finite(tree: Any) -> Any:
    """Numbers that JSON knows; null for others."""
    if isinstance(tree, dict):
        return {str(key): _finite(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(value) for value in tree]
    if isinstance(tree, float) and not math.isfinite(tree):
        return None
    return tree if isinstance(tree, int | float | str | bool | None) else str(tree)


def main() -> None:
    """Exit status 2, and one line, for a capture that cannot be used."""
    for what, most in LIMITS.items():
        resource.setrlimit(what, (most, most))
    folder = Path(sys.argv[1])
    (folder / "result.json").unlink(missing_ok=True)
    with faults_in_a_line():
        figures = convert(folder, sys.argv[2], sys.argv[3])
        write_durably(folder / "result.json", json.dumps(figures, allow_nan=False).encode())


if __name__ == "__main__":
    main()
