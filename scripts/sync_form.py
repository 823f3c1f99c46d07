"""Run an example with Gymnasium's own `SyncVectorEnv` where it asks for the native vector form: to compare their speed.

python scripts/sync_form.py examples/third_party/train_skrl.py --steps 8192
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode

make_vec = gymnasium.make_vec


def make_sync(env: Any, num_envs: int = 1, vectorization_mode: Any = None, **kwargs: Any) -> Any:
    """`gymnasium.make_vec` with the mode `sync`, whatever is asked for."""
    mode = kwargs.pop("autoreset_mode", None)
    if mode is not None:
        mode = AutoresetMode[mode.upper()] if isinstance(mode, str) else mode
        kwargs["vector_kwargs"] = {**kwargs.get("vector_kwargs", {}), "autoreset_mode": mode}
    return make_vec(env, num_envs, vectorization_mode="sync", **kwargs)


if __name__ == "__main__":
    gymnasium.make_vec = make_sync
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
