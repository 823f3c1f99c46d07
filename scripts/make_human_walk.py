"""Make the humanoid's embedded references: its walk from published figures, a looping clip a speed, and its starts.

    python scripts/make_human_walk.py

Needs no download and no simulation; a second run writes the same clips and pictures. `make_docs.py` then writes their
tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from gait_envs.biomechanics.clinical_angles import spreads, wanted_angles
from gait_envs.biomechanics.published_gait import figures_at
from gait_envs.cli import run_script
from gait_envs.files import replacing
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.reference.clip import Clip, save_clip
from gait_envs.render import Offscreen
from gait_envs.synthesis import gait_initiation as starts
from gait_envs.synthesis.fitted_walk import SPEEDS, human_walk

SHOWN = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")
DRAWN = (0.6, 1.2, 1.6)  # m/s, rows of the picture
FRAMES, WIDTH, HEIGHT = 9, 200, 400  # of the strips
STRIP = 2.4  # s of a start


def strip(clip: Clip, body: Body, seconds: float) -> np.ndarray:
    """(HEIGHT, FRAMES · WIDTH, 3) uint8: so many seconds from the first frame on, seen from the right."""
    view = Offscreen(body.model, WIDTH, HEIGHT, "side")
    pictures = [view.frame(clip.qpos[round(t)]) for t in np.linspace(0, seconds * clip.fps, FRAMES)]
    view.close()
    return np.concatenate(pictures, axis=1)


def picture(clips: dict[float, Clip], body: Body, path: Path) -> None:
    """A cycle at 1.2 m/s; below it the clips' angles and the ground's push upon the published ones, by speed."""
    figure = plt.figure(figsize=(13, 12), layout="constrained")
    grid = figure.add_gridspec(1 + len(DRAWN), 1 + len(SHOWN), height_ratios=[1.7] + [1.0] * len(DRAWN))
    top = figure.add_subplot(grid[0, :])
    top.imshow(strip(clips[1.2], body, clips[1.2].duration))
    top.axis("off")
    for row, speed in enumerate(DRAWN, start=1):
        clip = clips[speed]
        figures = figures_at(speed, float(body.home[2]))
        phase, fine = np.linspace(0, 1, clip.frames), np.linspace(0, 1, 201)
        wanted, spread = wanted_angles(figures, fine), spreads(figures)
        for column, name in enumerate(SHOWN):
            axes = figure.add_subplot(grid[row, column])
            middle = np.degrees(wanted[name])
            width = np.degrees(spread[name])
            axes.fill_between(100 * fine, middle - width, middle + width, color="0.85", label="published ± 1 sd")
            axes.plot(100 * fine, middle, color="0.5", linewidth=1)
            axes.plot(100 * phase, np.degrees(clip.qpos[:, 7 + clip.joint_names.index(f"right_{name}")]), "C1",
                      label="clip, right leg")  # fmt: skip
            axes.set(title=f"{name.replace('_', ' ')} at {speed:g} m/s", ylabel="degrees", xlim=(0, 100))
        axes = figure.add_subplot(grid[row, len(SHOWN)])
        assert clip.contacts is not None
        axes.plot(100 * fine, figures.both_push(fine), color="0.5", linewidth=1, label="published, both feet")
        for part, colour, name in ((slice(0, 4), "k", "both feet"), (slice(2, 4), "C1", "right foot")):
            axes.plot(100 * phase, clip.contacts[:, part].sum(axis=1) / body.weight, colour, label=name)
        axes.set(title=f"ground's push at {speed:g} m/s", ylabel="weights", xlim=(0, 100), ylim=(0, 1.4))
        if row == 1:
            figure.axes[1].legend(fontsize=8)
            axes.legend(fontsize=8)
    for axes in figure.axes[-1 - len(SHOWN) :]:
        axes.set_xlabel("% of the cycle")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=75, format="png")
    plt.close(figure)


def start_picture(clip: Clip, body: Body, path: Path) -> None:
    """A start as a film strip, until its second foot has landed."""
    figure = plt.figure(figsize=(13, 3.0), layout="constrained")
    figure.add_subplot().imshow(strip(clip, body, STRIP))
    figure.axes[0].axis("off")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=75, format="png")
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("assets/motions/human_walk"), help="the clips")
    parser.add_argument("--starts", type=Path, default=Path("assets/motions/human_start"), help="the starts")
    parser.add_argument("--pictures", type=Path, default=Path("docs/images"), help="folder of the pictures")
    args = parser.parse_args()
    body = load_body("humanoid")
    clips = {}
    for speed in SPEEDS:
        clips[speed] = human_walk(body, speed)
        save_clip(args.out / f"{clips[speed].name}.npz", clips[speed])
        print(clips[speed].name, f"{clips[speed].frames} frames", *clips[speed].meta["faults"])
    picture(clips, body, args.pictures / "human_walk.png")
    for speed in starts.SPEEDS:
        start = starts.gait_initiation(body, clips[speed])
        save_clip(args.starts / f"{start.name}.npz", start)
        print(start.name, f"{start.frames} frames", *start.meta["faults"])
        if speed == DRAWN[1]:
            start_picture(start, body, args.pictures / "human_start.png")


if __name__ == "__main__":
    run_script(main)
