"""Writes the page: our JavaScript, the third-party files, the body and the policy, as one folder of static files."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from gait_envs.files import replacing_folder
from gait_trainers.policies.bundle import MANIFEST, NETWORK, load_bundle
from gait_trainers.web.body import PageError, describe_body
from gait_trainers.web.muscles import write_muscle_network
from gait_trainers.web.vendor import packages, vendored

BODY, REFERENCE, INDEX = "body.json", "reference.json", "index.html"
# Licence texts that are copied from the installed Python package of the same library.
LICENSES = {"mujoco": ("LICENSE", "LICENSES_THIRD_PARTY.md")}


def write_page(bundle: str | Path, out: str | Path, *, force: bool = False) -> Path:
    """Write the page of a bundle to the folder `out`, whole or not at all.

    PageError for a policy that it cannot run and for a folder that is something else; VendorError where the
    third-party files have not been fetched.
    """
    bundle, out = Path(bundle), Path(out)
    check_page_out(out, force)
    files = vendored()
    with replacing_folder(out) as temporary:
        for file in (resources.files("gait_trainers.web") / "static").iterdir():
            (temporary / file.name).write_bytes(file.read_bytes())
        (temporary / "vendor").mkdir()
        for name, path in files.items():
            if path.suffix == ".wasm":  # a quarter of its size; the page unpacks it
                (temporary / "vendor" / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            else:
                shutil.copyfile(path, temporary / "vendor" / name)
        _write_licenses(temporary / "vendor")
        write_subject(bundle, temporary)
    return out


def write_subject(bundle: Path, folder: Path) -> None:
    """Write what differs between pages to a folder: body, model, policy and clips; PageError as `write_page`."""
    policy = load_bundle(bundle)
    body, model, reference, muscles = describe_body(policy)
    (folder / "model").mkdir()
    for name, data in model.files.items():
        (folder / "model" / name).write_bytes(data)
    (folder / "policy").mkdir()
    shutil.copyfile(bundle / NETWORK, folder / "policy" / NETWORK)
    if muscles is not None:
        write_muscle_network(muscles, folder / "policy" / "muscles.onnx")
    manifest = {key: value for key, value in policy.details.items() if key != "style"}
    (folder / "policy" / MANIFEST).write_text(strict_json(manifest), encoding="utf-8")
    (folder / BODY).write_text(strict_json(body), encoding="utf-8")
    if reference is not None:
        (folder / REFERENCE).write_text(strict_json(reference), encoding="utf-8")


def check_page_out(out: Path, force: bool) -> None:
    """PageError unless a page may be written there: nothing is there, or with `force` another page."""
    if not out.exists():
        return
    if not force:
        raise PageError(f"{out} exists already; choose another --web, or replace it with --force")
    if not out.is_dir() or (any(out.iterdir()) and not ((out / BODY).is_file() and (out / INDEX).is_file())):
        raise PageError(f"{out} is not a page (it has no {BODY} beside {INDEX}); --force replaces pages only")


def page_bytes(out: Path) -> int:
    """Size of everything in the page's folder, bytes."""
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def strict_json(tree: Any) -> str:
    """JSON as browsers read it: numbers that are not finite, such as absent limits, are null."""
    return json.dumps(_finite(tree), ensure_ascii=False, allow_nan=False)


def _finite(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _write_licenses(folder: Path) -> None:
    """Who made the third-party files, and their licences in full."""
    lines = [
        f"{p['package']} {p['version']}, {p['license']}, {p['source']}: {', '.join(p['files'])}" for p in packages()
    ]
    (folder / "VENDORED.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for file in (resources.files("gait_trainers.web") / "licenses").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for package, names in LICENSES.items():
        for path in metadata.files(package) or []:
            if path.name in names:
                (folder / f"{package}-{path.name}").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
