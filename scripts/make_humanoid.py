"""Build the humanoid from its tables: the torque-driven body and the muscle-driven one.

    python scripts/make_humanoid.py
    python scripts/make_humanoid.py --pictures docs/images

Reads `assets/humanoid/tables/*.csv`, writes `assets/humanoid/humanoid.xml` and `muscle_humanoid.xml`. The
tables name their sources; docs/humanoid_body.md says how they become a body. With `--pictures`, draws that
page's pictures too, and prints its table of moment arms.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import mujoco

sys.path.insert(0, str(Path(__file__).resolve().parent))

from humanoid.body import read_body_tables, to_text, torque_model
from humanoid.muscles import muscle_model, read_muscle_tables
from humanoid.tables import TableError

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "humanoid"
COMMENT = """{what}: 23 bodies, 56 degrees of freedom, 1.70 m, 73 kg.
     Built by scripts/make_humanoid.py from the tables beside it; do not edit.
     x forward, y left, z up; both sides share one sign convention, so a pose is mirrored by swapping sides
     and reversing the bending and the rotation of the trunk."""


def build(tables: Path) -> dict[str, str]:
    """File names and texts of both models."""
    body = read_body_tables(tables)
    muscles = read_muscle_tables(tables, body)
    return {
        "humanoid.xml": to_text(torque_model(body), COMMENT.format(what="A human body moved by torques")),
        "muscle_humanoid.xml": to_text(
            muscle_model(body, muscles), COMMENT.format(what="A human body moved by 92 muscles and, above, by torques")
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, default=ASSETS / "tables")
    parser.add_argument("--out", type=Path, default=ASSETS)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of the documentation")
    args = parser.parse_args()
    try:
        texts = build(args.tables)
    except TableError as error:
        sys.exit(f"error: {error}")
    for name, text in texts.items():
        part = args.out / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, args.out / name)
        print(f"{args.out / name}: {len(text.splitlines())} lines")
    if args.pictures:
        from humanoid.moment_arms import comparison
        from humanoid.pictures import draw

        draw(args.out, args.pictures)
        model = mujoco.MjModel.from_xml_path(str(args.out / "muscle_humanoid.xml"))
        print(comparison(model, args.tables))


if __name__ == "__main__":
    main()
