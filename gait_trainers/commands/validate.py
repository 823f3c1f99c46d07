"""`gait-train validate`: whether a bundle is fit to be used, and how quick it is here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gait_envs.wording import size_text
from gait_trainers.policies.loading import find_bundle
from gait_trainers.policies.validation import CALLS, validate_bundle


def command(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle, or a bundled name (gait-train list).")],
    calls: Annotated[int, typer.Option(min=10, help="Number of calls that the latency is measured on.")] = CALLS,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as one JSON object.")] = False,
) -> None:
    """Validate a bundle: checksums, parity with torch, ranges of inputs and outputs, latency, size."""
    bundle = find_bundle(bundle)
    found = validate_bundle(bundle, calls=calls)
    if as_json:
        print(json.dumps(found, allow_nan=False))
    else:
        latency, parity = found["latency_ms"], found["parity"]
        print(f"{bundle}: {'passed' if found['passed'] else 'FAILED'}")
        print(f"difference from torch  {parity['largest_difference']:.1e}, allowed {parity['tolerance']:.0e}")
        print(f"latency                p50 {latency['p50']:.3f} ms, p99 {latency['p99']:.3f} ms")
        print(f"control step           {found['control_step_ms']:.0f} ms")
        print(f"size                   {size_text(found['size_bytes'])} in {len(found['files'])} files")
        for title in ("observations", "actions"):
            low = min(a for a, _ in found[title].values())
            high = max(b for _, b in found[title].values())
            print(f"{title:22} {low:.3g} to {high:.3g}")
    if not found["passed"]:
        raise typer.Exit(1)
