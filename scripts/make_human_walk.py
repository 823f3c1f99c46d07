"""Make the humanoid's embedded reference walk from published joint angles: a looping clip a speed, and a picture.

    python scripts/make_human_walk.py

Needs no download and no simulation; a second run writes the same clips.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gait_envs.motion.body import load_body
from gait_envs.motion.clip import save_clip
from gait_envs.motion.human_gait import SPEEDS, human_walk




def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("assets/motions/human_walk"), help="the clips")
    args = parser.parse_args()
    body = load_body("humanoid")
    for speed in SPEEDS:
        clip = human_walk(body, speed)
        save_clip(args.out / f"{clip.name}.npz", clip)
        print(clip.name, clip.frames, clip.meta["quality"], clip.meta["faults"])


if __name__ == "__main__":
    main()
