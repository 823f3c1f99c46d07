"""Paths of the bundled models, motions and policies, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the assets inside the package; in a checkout they lie beside it.
_ROOTS = (_PACKAGE / "_assets", _PACKAGE.parent / "assets")


def asset_root() -> Path:
    """The folder that holds `wildrobot/`, `motions/` and `policies/`."""
    for root in _ROOTS:
        if root.is_dir():
            return root
    raise FileNotFoundError(f"GaitNet's assets are in neither of {[str(r) for r in _ROOTS]}; reinstall gaitnet")


def asset_path(name: str) -> Path:
    """Path of an asset such as `wildrobot/scene.xml`; FileNotFoundError lists what there is for an unknown name."""
    path = asset_root() / name
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else asset_root()
        known = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
        raise FileNotFoundError(f"no asset {name!r}; {folder} holds {known}")
    return path
