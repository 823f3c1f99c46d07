"""Model cards: a page for every bundled policy and model of motion, made from the files beside it, and nothing else."""

from __future__ import annotations

import functools
import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gait_envs.assets import asset_root
from gait_trainers.policies.manifest import contract_hash

ROOT = Path(__file__).resolve().parents[2]
WHAT = {  # what the files beside a model do not say
    "wildrobot_walk": "Walks to a commanded velocity. Trained by PPO with adversarial motion priors from a clone of "
    "wildrobot_imitation, made by DAgger.",
    "wildrobot_robust": "Walks to a commanded velocity on other masses, friction, servos and latencies than the "
    "model's, and when pushed: the walker, trained further with all of them drawn for each episode.",
    "wildrobot_captured": "Walks ahead at a commanded speed. Its prior is captured walks, which are not "
    "part of the project. Trained by PPO with adversarial motion priors from a clone of a policy that tracks them.",
    "wildrobot_clone": "A starting point for trainings: it has the gait of the policy that it imitates, but falls "
    "within seconds at 0.4 m/s and above. Not for use by itself.",
    "wildrobot_imitation": "Tracks reference clips. It was trained on captured walks, which are not part of the "
    "project, and on the embedded ones, on which it is measured here.",
    "humanoid_imitation": "A human body with servos that tracks the embedded walks.",
    "humanoid_refnn": "A human body with servos that follows the walks that the bundled RefNN makes, also with strides "
    "and cadences that it was not trained on.",
    "humanoid_tracker": "A human body with servos that tracks captured walks, runs and turns. These are not part "
    "of the project; it is measured here on the embedded walks.",
    "humanoid_walk": "A human body with servos that starts from standing and walks at a commanded speed. It learned "
    "by DAgger from a policy that tracks the embedded walks and starts; its speed was calibrated.",
    "muscle_humanoid_imitation": "The human body driven by 92 muscles, which a network (MuscleNN) commands.",
    "muscle_humanoid_tracker": "The human body driven by 92 muscles, which a network (MuscleNN) commands. It tracks "
    "captured walks, which are not part of the project; on the embedded ones, on which it is measured here, it falls "
    "behind within ten seconds.",
    "motionnn": "Predicts the next state of a captured body from its present one.",
    "motionnn_conditioned": "Predicts the next state of a captured body, given path, speed and phase.",
    "refnn": "Makes the humanoid's walk from stride, cadence, body parameters and phase.",
}
NAMES = {
    "success_rate": ("success", "{:.0%}"),
    "is_success_rate": ("`is_success`", "{:.0%}"),
    "speed_error": ("speed error, m/s", "{:.3f}"),
    "heading_drift_deg": ("heading drift, °", "{:.1f}"),
    "step_symmetry": ("asymmetry", "{:.1%}"),
    "cadence": ("steps/min", "{:.0f}"),
    "cost_of_transport": ("cost of transport", "{:.2f}"),
    "mpjpe_root": ("root-relative joint error, mm", "{:.1f}"),
    "mpjpe_global": ("global joint error, mm", "{:.1f}"),
    "progress": ("share of the clip", "{:.0%}"),
}


@functools.cache
def pages() -> dict[str, tuple[str, str]]:
    """Page of the site to its title and its text."""
    policies = [path for path in sorted((asset_root() / "policies").iterdir()) if (path / "policy.json").is_file()]
    models = sorted(path for path in (asset_root() / "models").iterdir() if path.is_dir())
    made = {"models/index.md": ("All models", index_page(policies, models))}
    made |= {f"models/{path.name}.md": (path.name, policy_page(path)) for path in policies}
    return made | {f"models/{path.name}.md": (path.name, model_page(path)) for path in models}


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def index_page(policies: Iterable[Path], models: Iterable[Path]) -> str:
    manifests = {path.name: read(path / "policy.json") for path in policies}
    rows = [
        (f"[`{name}`]({name}.md)", WHAT.get(name, ""), f"`{made['environment']['id']}`", f"`{contract_hash(made)}`")
        for name, made in manifests.items()
    ]
    others = [(f"[`{path.name}`]({path.name}.md)", WHAT.get(path.name, "")) for path in models]
    return f"""# Bundled models

A card for each, made from the files beside it: command, seed, figures, contract, licence. A test replays every policy's
card. `gait-train play NAME` shows a policy from any folder; the figures of all are in the
[benchmarks](../benchmarks.md#bundled-policies-today).

## Policies

{table(("name", "what it does", "environment", "contract"), rows)}

Bundles of one contract hash are run by the same program: same robot and rates, same observation, same way from action
to servo targets, same memory.

## Models of motion

{table(("name", "what it does"), others)}
"""


def policy_page(folder: Path) -> str:
    made, measured, name = read(folder / "policy.json"), read(folder / "evaluation.json"), folder.name
    environment, training = made["environment"], made["training"]
    facts = [
        ("environment", f"`{environment['id']}`"),
        ("rates", f"{environment['control_rate_hz']:g} Hz control, {environment['physics_rate_hz']:g} Hz physics"),
        ("observation", f"{made['observation']['size']} numbers"),
        (
            "action",
            f"{len(made['action']['joints'])} servo targets, filtered with α = {made['action']['filter_alpha']}",
        ),
        ("command", command_range(made["command"])),
        ("contract", f"`{contract_hash(made)}`"),
        ("licence", made["license"]),
    ]
    return f"""# {name}

{WHAT.get(name, "")}

```sh
gait-train play {name} --video {name}.mp4
```

{table(("", ""), facts)}

## Measured

{measurements(measured)}

## Training

{training_table(training)}

Means over the last quarter of the run and the whole configuration are in `policy.json` and `config.yaml`.

## Observation

{table(("index", "name", "unit", "meaning"), observation_rows(made))}

## Exported

{exported(made)}

{files_table(folder)}

Where it comes from: [sources](../../assets/SOURCES.md).
"""


def command_range(command: Mapping[str, Any]) -> str:
    if "low" not in command:
        return f"from {command['from']}"
    ranges = zip(command["layout"], command["low"], command["high"], strict=True)
    return "; ".join(f"{name} {low:g} … {high:g}" for name, low, high in ranges)


def measurements(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return "Not measured yet."
    results = measured["results"]
    each = "per_command" if "per_command" in results else "per_clip"
    keys = [key for key in NAMES if key in results]
    rows = [(case(row), *(shown(row, key) for key in keys)) for row in results[each]]
    rows.append(("**all**", *(f"**{shown(results, key)}**" for key in keys)))
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    how = f"{results['episodes']} episodes, {results['mode']}, seed {results['seed']}"
    return f"""{how}, {measured["date"]}, {versions}.
Success means survival; `is_success` asks that the command was followed as well.

```sh
{measured["measured_by"]}
```

{table(("command" if each == "per_command" else "clip", *(NAMES[key][0] for key in keys)), rows)}"""


def case(row: Mapping[str, Any]) -> str:
    """The clip or the commanded speed that a row of an evaluation is about."""
    return f"`{row['clip']}`" if "clip" in row else f"{row['command'][0]:g} m/s"


def shown(row: Mapping[str, Any], key: str) -> str:
    return "–" if row[key] is None else NAMES[key][1].format(row[key])


def training_table(training: Mapping[str, Any]) -> str:
    command = training["command"]
    rows = [
        ("command", f"`{command if isinstance(command, str) else shlex.join(command)}`"),
        ("seed", training["seed"]),
        *([("steps", f"{training['steps']:,}"), ("algorithm", training["algorithm"])] if "steps" in training else []),
        ("commit", f"`{training['commit']}`" if training["commit"] else "not recorded"),
        ("time", training["time"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in training["versions"].items())),
    ]
    return table(("", ""), rows)


def observation_rows(made: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (index_range(*row["index"]), f"`{row['name']}`", row["unit"], row["description"])
        for row in made["observation"]["layout"]
    ]


def index_range(start: int, stop: int) -> str:
    return str(start) if stop == start + 1 else f"{start} … {stop - 1}"


def exported(made: Mapping[str, Any]) -> str:
    parity = made["parity"]
    return (
        f"ONNX and torch differ by at most {parity['largest_difference']:.1e} over {parity['observations']} "
        f"observations; {parity['tolerance']:g} was allowed."
    )


def files_table(folder: Path) -> str:
    rows = [
        (f"`{path.name}`", f"{path.stat().st_size / 1e3:,.0f} kB", digest(path)) for path in sorted(folder.iterdir())
    ]
    return table(("file", "size", "SHA-256"), rows)


def digest(path: Path) -> str:
    return f"`{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}…`"


def model_page(folder: Path) -> str:
    made = read(folder / "provenance.json") or read(folder / "model.json")
    licences = made.get("licenses") or sorted({file["license"] for file in made["data"]["files"]})
    guide = "pretraining" if "licenses" in made else "pretraining/refnn"
    return f"""# {folder.name}

{WHAT.get(folder.name, "")}

{training_table(made)}

The model is under the licence of this project (MIT). It was trained on data under: {"; ".join(licences)}. What that
data is, and what was left out: [sources](../../assets/SOURCES.md). How it is used: [{guide}](../{guide}.md).

## Measured on held-out data

{motion_figures(read(folder / "metrics.json"), made)}

{files_table(folder)}
"""


def motion_figures(metrics: Mapping[str, Any] | None, made: Mapping[str, Any]) -> str:
    """Errors by horizon of a MotionNN, on walks of held-out subjects; the errors of a RefNN on held-out walkers."""
    if metrics is None:
        errors = made["held_out_error"].items()
        return table(("error", "on held-out walkers"), [(f"`{name}`", f"{value:.2f}") for name, value in errors])
    found = metrics["seeds"][0]
    horizons = list(found["position_mse"])
    rows = [
        (name, *(f"{found[key][horizon]:.4g}" for horizon in horizons))
        for key, name in (("position_mse", "positions, mean squared error"), ("root_drift_m", "drift of the root, m"))
    ]
    header = ("", *(f"{horizon} frames ahead" for horizon in horizons))
    return f"{found['windows']} windows of {found['clips']} clips.\n\n{table(header, rows)}"
