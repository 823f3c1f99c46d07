"""Loading a policy from a bundle, a run folder or one of its checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path

from gait_envs.assets import asset_root
from gait_envs.errors import one_line
from gait_envs.reading.archive import Archive
from gait_envs.reading.foreign import refuse_pickles
from gait_trainers.config.kinds import check_kind
from gait_trainers.policies.base import GaussianPolicy, PolicyError
from gait_trainers.policies.bundle import MANIFEST, load_bundle
from gait_trainers.policies.environment import in_environment
from gait_trainers.policies.model_registry import find_registered, is_reference

KINDS = "a bundle (policy.json), a run folder (checkpoints/) or a checkpoint file"


def bundled_policies() -> list[str]:
    """The names of the policies that come with the package."""
    folder = asset_root() / "policies"
    return sorted(path.name for path in folder.iterdir() if (path / MANIFEST).is_file()) if folder.is_dir() else []


def find_policy(path: str | Path) -> Path:
    """The path itself if anything is there, else what it names: a bundled policy, or one of a service's registry."""
    path = Path(path)
    if is_reference(str(path)):
        return find_registered(str(path))
    if not path.exists() and path.name == str(path) and path.name in bundled_policies():
        return asset_root() / "policies" / path.name
    return path


def load_policy(path: str | Path, env_id: str | None = None) -> GaussianPolicy:
    """The policy of a bundle folder, a run folder (its latest checkpoint), a checkpoint file, a bundled name, or a name
    of a service's registry (`registry:NAME@champion`).

    With `env_id` it acts there instead of where it was trained; what it leaves behind is said on stderr. PolicyError
    says what else is at the path, RunError and BundleError what is wrong with a run and with a bundle.
    """
    policy = read_policy(find_policy(path))
    return policy if env_id is None else in_environment(policy, env_id, to_stderr)


def read_policy(path: Path) -> GaussianPolicy:
    """The policy at a path, in its own environment."""
    if (path / MANIFEST).exists():
        return load_bundle(path)
    check_is_run(path)
    from gait_trainers.policies.torch_policy import policy_from_run  # needs torch; a bundle does not

    return policy_from_run(path)


def find_bundle(path: str | Path) -> Path:
    """The folder of a bundle, as `find_policy` finds it; PolicyError says what else is there."""
    found = find_policy(path)
    if not (found / MANIFEST).is_file():
        check_is_run(found)
        check_kind(found / "config.yaml", "policy")
        raise PolicyError(f"{found}: a run, not a bundle; gait-train export {found} --out FOLDER makes one of it")
    return found


def check_is_run(path: Path) -> None:
    """PolicyError, which says what is there instead, unless the path is a run folder or a checkpoint of one."""
    refuse_sb3_model(path)
    refuse_pickles(path, PolicyError)
    if path.is_file():
        if not (path.parent.parent / "config.yaml").is_file():
            raise PolicyError(f"{path}: a file outside of any run folder; expected {KINDS}")
    elif not path.exists():
        known = ", ".join(bundled_policies())
        raise PolicyError(f"{path}: no such file or folder; expected {KINDS}, or one of the bundled {known}")
    elif not (path / "checkpoints").is_dir():
        found = one_line(", ".join(sorted(p.name for p in path.iterdir())) or "nothing")
        raise PolicyError(f"{path}: holds {found}, not {KINDS}")


def refuse_sb3_model(path: Path) -> None:
    """PolicyError for what `model.save()` of Stable-Baselines3 writes; nothing in it is opened."""
    if not path.is_file():
        return
    try:
        with Archive(path, PolicyError, 0, str(path)) as archive:
            keys = archive.keys
    except PolicyError:  # no archive, or a damaged one, of which others say what it should be
        return
    if "_stable_baselines3_version" in keys:
        raise PolicyError(
            f"{path}: a model saved by Stable-Baselines3, which is partly pickle and is never loaded here; load "
            "it in Python and write a bundle of it: gait_trainers.export_policy(model, vec_normalize, out)"
        )


def to_stderr(text: str) -> None:
    """Print a note to stderr."""
    print(text, file=sys.stderr)
