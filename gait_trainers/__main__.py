"""`python -m gait_trainers`: the same as `gait-train`."""

from __future__ import annotations

from gait_trainers.cli import main

if __name__ == "__main__":
    main()
