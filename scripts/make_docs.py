"""Write the tables of the documentation from the code they describe.

    python scripts/make_docs.py           write them
    python scripts/make_docs.py --check   only list the pages that are out of date; exit status 1 if there are any

A page marks a table with `<!-- table NAME -->` and `<!-- end -->`; the text between them is replaced.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import io
import json
import re
import tempfile
import textwrap
import tokenize
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gait_envs.assets import asset_path
from gait_envs.cli import run_script
from gait_envs.core import Core
from gait_envs.layout import Layout
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.models.robot import Robot, humanoid, wildrobot
from gait_envs.reference.amp_features import AMP_LAYOUT, amp_layout
from gait_envs.reference.clip import Clip, load_clip, save_clip
from gait_envs.reference.library import EMBEDDED
from gait_envs.registry import find, make_task
from gait_envs.simulation.batch import MAX_SPEED
from gait_envs.synthesis.fitted_walk import angle_errors
from gait_envs.tasks.base import Task
from gait_envs.tasks.config import (
    DEFAULT_REWARD,
    HUMANOID_REWARD,
    HUMANOID_TRACK_REWARD,
    TRACK_REWARD,
    HumanoidTrackConfig,
    HumanoidWalkConfig,
    RandomizeConfig,
    TrackConfig,
    WalkConfig,
)
from gait_envs.tasks.rewards import ALL, PACE, WALKING, Term
from gait_trainers.config import schema as training
from gait_trainers.learners.amp.spec import AMPConfig
from gait_trainers.learners.dynamics.spec import DynamicsConfig
from gait_trainers.learners.encoder.spec import EncoderConfig
from gait_trainers.learners.muscle.spec import MuscleConfig
from gait_trainers.learners.resampling import ResamplingConfig

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- table (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
MISSING = "not measured yet"

# Direction of positive angles, by the name of the joint without its side.
DIRECTIONS = {
    "waist_yaw": "chest turns left",
    "hip_pitch": "flexion, thigh forward",
    "hip_roll": "abduction, leg outward",
    "knee_pitch": "flexion",
    "ankle_pitch": "dorsiflexion, toes up",
}
# Options that need a longer description than the comment beside them.
OPTIONS = {
    "command_low": "lower bounds of forward m/s, leftward m/s and yaw rate rad/s, in the heading frame",
    "command_high": "upper bounds of the same",
    "reward_weights": "mapping of term to weight; the reward is the weighted sum of exactly these terms",
    "TrackConfig.reference": "clips to track: the name of a set, a file or a folder",
    "enabled": "turns randomisation on; implied by any mapping that does not set it",
    "randomize": "`true` (the defaults below), `false`, or a mapping of the values that differ from them",
}
INFO = {
    "x_position": "m, of the root, world",
    "y_position": "m, of the root, world",
    "x_velocity": "m/s, forward, heading frame",
    "y_velocity": "m/s, leftward, heading frame",
    "yaw_rate": "rad/s, about the vertical",
    "command": "forward m/s, leftward m/s, yaw rate rad/s, without the heading correction",
    "speed_error": "m/s, \\|x_velocity − command[0]\\|",
    "lateral_error": "m/s, \\|y_velocity − command[1]\\|",
    "yaw_rate_error": "rad/s, \\|yaw_rate − command[2]\\|",
    "amp_obs": "AMP features of this frame",
    "fall": "the episode ended in failure at this step; equal to `terminated`",
    "success": "the episode reached the time limit at this step, without a fall",
    "is_success": "the episode also followed its command: see [success](wildrobot.md#success)",
}
TRACK_INFO = {
    "clip": "index of the clip",
    "frame": "frame of the reference that corresponds to this state",
    "time_left": "s, until the last tracked frame of the clip; infinite for a clip that loops",
    "mpjpe_global": "mm, mean distance of the bodies from the reference (MPJPE), world frame",
    "mpjpe_root": "mm, the same with the roots aligned",
    "mpjpe_aligned": "mm, the same after Procrustes alignment (translation, rotation, scale)",
    "velocity_error": "m/s, mean over the bodies",
}


# -- Markdown ------------------------------------------------------------------------------------------


def markdown(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; cells are text already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def text(value: Any) -> str:
    """Prose for a cell: a bar would end it."""
    return str(value).replace("|", "\\|")


def code(value: Any) -> str:
    """A value as one would write it in YAML."""
    return f"`{json.dumps(value, ensure_ascii=False)}`" if not isinstance(value, str) else f"`{value}`"


# -- environments --------------------------------------------------------------------------------------


def layout_table(layout: Layout) -> str:
    bounded = bool(np.isfinite(layout.limits).any())
    rows = []
    for row in layout.table():
        first, stop = row["index"]
        index = str(first) if stop - first == 1 else f"{first}–{stop - 1}"
        limit = [f"±{row['limit']:g}"] if bounded else []
        rows.append([index, f"`{row['name']}`", row["size"], row["unit"], *limit, text(row["description"])])
    limit = ["clipped to"] if bounded else []
    return markdown(["index", "name", "size", "unit", *limit, "meaning"], rows)


def track_layout_table(task: str) -> str:
    """An imitation task's."""
    return layout_table(with_a_clip(task).layout)


def with_a_clip(task: str) -> Task:
    """A task that follows clips, with one in which its body stands at home: tables show nothing of it."""
    robot = make_task(task, {}).robot
    qpos, qvel = np.tile(robot.home_qpos, (9, 1)), np.zeros((9, robot.model.nv))
    clip = Clip(qpos, qvel, robot.control_rate, robot.joint_names, False, robot.name, "this script", "MIT")
    with tempfile.TemporaryDirectory() as folder:
        return make_task(task, {"reference": str(save_clip(Path(folder) / "still.npz", clip))})


def action_table() -> str:
    robot = wildrobot()
    rows = []
    for i, name in enumerate(robot.joint_names):
        low, high, home, scale = (float(a[i]) for a in (robot.lower, robot.upper, robot.home, robot.half_range))
        reach = f"{max(low, home - scale):.3f} … {min(high, home + scale):.3f}"
        kind = name.removeprefix("left_").removeprefix("right_")
        rows.append((i, f"`{name}`", f"{low:.3f} … {high:.3f}", f"{home:.3f}", f"{scale:.3f}", reach, DIRECTIONS[kind]))
    return markdown(("index", "joint", "range", "home", "per unit of action", "reach of ±1", "positive"), rows)


def servo_table(robot: Robot) -> str:
    """Joints of a body with stable PD, both sides in one row."""
    rows: dict[str, list[str]] = {}
    for i, name in enumerate(robot.joint_names):
        kind = name.removeprefix("left_").removeprefix("right_")
        cells = [
            f"{robot.lower[i]:.2f} … {robot.upper[i]:.2f}",
            f"{robot.half_range[i]:.2f}",
            f"{robot.model.actuator_gainprm[i, 0]:g}",
            f"{-robot.model.actuator_biasprm[i, 2]:g}",
            " … ".join(f"{limit:g}" for limit in robot.model.actuator_forcerange[i]),
        ]
        if rows.setdefault(kind, cells) != cells:
            raise SystemExit(f"{robot.name}: {name} differs from the other side; give it a separate row")
    paired = {kind for kind in rows if f"left_{kind}" in robot.joint_names}
    return markdown(
        ("joint", "range, rad", "half range, rad", "kp, N·m/rad", "kd, N·m·s/rad", "strength, N·m"),
        ([f"`{kind}`" + (", both sides" if kind in paired else ""), *cells] for kind, cells in rows.items()),
    )


def reward_table(terms: Mapping[str, Term], *columns: Mapping[str, float]) -> str:
    """Terms with their weights, one column per set of weights; a dash marks a term that a set does not use."""
    rows = [
        (
            f"`{name}`",
            text(term.meaning),
            term.unit,
            *(f"{weights[name]:g}" if name in weights else "–" for weights in columns),
        )
        for name, term in terms.items()
    ]
    return markdown(("term", "meaning", "unit", "default", "`laptop`")[: 3 + len(columns)], rows)


def field_comments(kind: type) -> dict[str, str]:
    """What the comment beside each of a dataclass's own fields says."""
    source = textwrap.dedent(inspect.getsource(kind))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    (body,) = (node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    fields = [node for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return {node.target.id: comments[node.end_lineno] for node in fields if node.end_lineno in comments}


def options_table(kind: type, only: Iterable[str] | None = None) -> str:
    """The options of a task, or some of them: key, default, meaning."""
    comments: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        comments |= field_comments(base)
    rows = []
    for field in dataclasses.fields(kind):
        if only is not None and field.name not in only:
            continue
        own = OPTIONS.get(f"{kind.__name__}.{field.name}")
        meaning = own or OPTIONS.get(field.name) or text(comments.get(field.name, ""))
        if not meaning:
            raise SystemExit(f"{kind.__name__}.{field.name} has no description; put a comment beside it")
        default = getattr(kind(), field.name)
        if dataclasses.is_dataclass(default):
            default = False
        shown = "the weights above" if field.name == "reward_weights" else code(default)
        rows.append((f"`{field.name}`", shown, meaning))
    return markdown(("key", "default", "meaning"), rows)


def termination_table(task: str) -> str:
    made, steps = make_task(task, {}), find(task).steps
    config, robot = made.config, made.robot
    clip = isinstance(config, TrackConfig)
    tilted = "root tilted from the clip by more than" if clip else "root tilted more than"
    rows = [
        ("root lower than", f"{config.min_height:g} m", "`min_height`", "`terminated`"),
        ("root higher than", f"{config.max_height:g} m", "`max_height`", "`terminated`"),
        (tilted, f"{config.max_tilt:g} rad", "`max_tilt`", "`terminated`"),
        ("simulation diverged", f"undefined, or any velocity of {MAX_SPEED:g} and more", "–", "`terminated`"),
        ("time limit", f"{steps} steps ({steps * robot.dt:g} s)", "–", "`truncated`"),
    ]
    if clip:
        rows.insert(3, ("bodies off the reference by", f"{config.max_distance:g} m", "`max_distance`", "`terminated`"))
        rows.insert(5, ("last frame of a clip that does not loop", "", "–", "`truncated`"))
    return markdown(("condition", "limit", "option", "sets"), rows)


def info_table(task: str, described: Mapping[str, str], elsewhere: Iterable[str] = ()) -> str:
    """The keys that a reset returns, so that none is forgotten, except those described `elsewhere`."""
    _, info = Core(make_task(task, {}), 1, threads=1).reset()
    keys = [key for key in info if not key.startswith(("_", "reward_")) and key not in elsewhere]
    if set(keys) != set(described):
        raise SystemExit(f"scripts/make_docs.py describes {sorted(described)}, info of {task!r} has {sorted(keys)}")
    rows = [] if elsewhere else [("`reward_<term>`", "", "each weighted term of the reward; their sum is the reward")]
    for key in keys:
        size = info[key].shape[1:]
        rows.append((f"`{key}`", size[0] if size else "", described[key]))
    return markdown(("key", "size", "meaning"), rows)


def motion_table() -> str:
    """Figures of the embedded reference, as written by `scripts/make_motions.py`: means per drawing and kind."""
    file = ROOT / "assets" / "motions" / EMBEDDED / "metrics.json"
    columns = (  # heading, key, format
        ("steps/min", "cadence", "{:.0f}"),
        ("asymmetry", "step_symmetry", "{:.0%}"),
        ("slip, m/s", "foot_slip", "{:.3f}"),
        ("penetration, mm", "penetration", "{:.1f}"),
        ("load carried", "load_carried", "{:.0%}"),
        ("torque rms, N·m", "torque_rms", "{:.2f}"),
        ("torque at its limit", "torque_saturated", "{:.1%}"),
        ("single support", "single_support", "{:.0%}"),
    )
    if not file.is_file():
        return f"{MISSING}\n"
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for clip in json.loads(file.read_text(encoding="utf-8")):
        clip["penetration"] = max(0.0, 1e3 * clip["penetration"])
        drawing, kind, _ = clip["name"].rsplit("_", 2)
        groups.setdefault((drawing, kind), []).append(clip)

    def mean(clips: list[dict[str, Any]], key: str, form: str) -> str:
        known = [clip[key] for clip in clips if clip[key] is not None]
        return form.format(np.mean(known)) if len(known) == len(clips) else ""

    columns = (("reached, m/s", "forward_velocity", "{:.2f}"), *columns)
    rows = [
        [f"`{drawing}`", kind, len(clips), *(mean(clips, key, form) for _, key, form in columns)]
        for (drawing, kind), clips in groups.items()
    ]
    return markdown(["drawing", "kind", "clips", *(heading for heading, _, _ in columns)], rows)


# -- training ------------------------------------------------------------------------------------------


def bundled_table() -> str:
    """What `scripts/make_cards.py` measured of each bundled policy, overall."""
    rows = []
    for file in sorted(asset_path("policies").glob("*/evaluation.json")):
        card = json.loads(file.read_text(encoding="utf-8"))
        found = card["results"]
        judged = "per_command" in found
        error = f"speed {found['speed_error']:.3f} m/s" if judged else f"joints {found['mpjpe_root']:.1f} mm"
        what = f"{len(found['per_command'])} speeds" if judged else f"{len(found['per_clip'])} clips"
        rows.append(
            [
                f"`{file.parent.name}`",
                f"{found['episodes']}, {what}",
                f"{found['success_rate']:.0%}",
                f"{found['is_success_rate']:.0%}" if judged else "",
                error,
                f"`{card['contract']}`",
                card["date"],
            ]
        )
    return markdown(("policy", "episodes", "success", "`is_success`", "error", "contract", "measured"), rows)


def human_walk_table() -> str:
    """The embedded clips of the humanoid: distance from the published angles, sliding of the soles."""
    body = load_body("humanoid")
    rows = []
    for path in sorted(asset_path("motions/human_walk").glob("*.npz")):
        clip = load_clip(path)
        errors, quality = angle_errors(clip, body), clip.meta["quality"]
        rows.append(
            [
                f"{clip.meta['speed']:.1f}",
                f"{quality['cadence']:.0f}",
                f"{clip.mean_speed * clip.duration:.2f}",
                *(f"{np.degrees(errors[name]):.1f}" for name in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")),
                f"{1e3 * quality['slip_median']:.1f}",
                f"{quality['penetration_mm']:.1f}",
                f"{quality['feasible_percent']:.0f}%",
            ]
        )
    joints = ("hip flexion error, °", "knee flexion error, °", "ankle dorsiflexion error, °")
    headings = ("m/s", "steps per minute", "stride, m", *joints, "slip, mm/s", "penetration, mm", "feasible frames")
    return markdown(headings, rows)


def preset(name: str) -> dict[str, Any]:
    """A preset's own values as a tree."""
    file = resources.files("gait_trainers.config") / "presets" / f"{name}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def settings_table(section: type[training.Section], prefix: str) -> str:
    """One section of the training configuration: key, default, the laptop preset's value, meaning."""
    tree: Any = preset("laptop")
    for part in prefix.split("."):
        tree = (tree or {}).get(part)
    rows = []
    for name, field in section.model_fields.items():
        key = f"{prefix}.{name}"
        if not field.description:
            raise SystemExit(f"{key} has no description; give its field one")
        default = field.get_default(call_default_factory=True)
        laptop = ""
        if tree and name in tree:
            laptop = "see preset" if isinstance(tree[name], dict) else code(tree[name])
        shown = "see below" if isinstance(default, training.Section) else code(default)
        rows.append((f"`{key}`", shown, laptop, allowed(field), text(field.description)))
    return markdown(("key", "default", "`laptop`", "allowed", "meaning"), rows)


def in_words(bound: float) -> str:
    """A bound of a setting; whole numbers in full."""
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def allowed(field: Any) -> str:
    """Bounds or choices of a pydantic field, in words."""
    choices = [c for c in getattr(field.annotation, "__args__", ()) if isinstance(c, str)]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {in_words(getattr(item, name))}" for item in field.metadata for name, sign in signs.items()
              if getattr(item, name, None) is not None]  # fmt: skip
    return ", ".join(bounds)


# -- pages ---------------------------------------------------------------------------------------------


def tables() -> dict[str, Callable[[], str]]:
    laptop = preset("laptop")["env"]["kwargs"]["reward_weights"]
    return {
        "observation": lambda: layout_table(make_task("walk", {}).layout),
        "amp-features": lambda: layout_table(AMP_LAYOUT),
        "actions": action_table,
        "rewards": lambda: reward_table(WALKING | PACE, DEFAULT_REWARD, laptop),
        "options": lambda: options_table(WalkConfig),
        "randomize": lambda: options_table(RandomizeConfig),
        "termination": lambda: termination_table("walk"),
        "info": lambda: info_table("walk", INFO),
        "track-info": lambda: info_table("track", TRACK_INFO, elsewhere=INFO),
        "track-observation": lambda: track_layout_table("track"),
        "track-rewards": lambda: reward_table({name: ALL[name] for name in TRACK_REWARD}, TRACK_REWARD),
        "track-options": lambda: options_table(TrackConfig, TrackConfig.__annotations__),
        "track-termination": lambda: termination_table("track"),
        "reference-motion": motion_table,
        "human-walk": human_walk_table,
        "bundled-policies": bundled_table,
        "humanoid-servos": lambda: servo_table(humanoid()),
        "humanoid-observation": lambda: layout_table(make_task("humanoid_walk", {}).layout),
        "humanoid-track-observation": lambda: track_layout_table("humanoid_track"),
        "humanoid-rewards": lambda: reward_table({name: ALL[name] for name in HUMANOID_REWARD}, HUMANOID_REWARD),
        "humanoid-track-rewards": lambda: reward_table(
            {name: ALL[name] for name in HUMANOID_TRACK_REWARD}, HUMANOID_TRACK_REWARD
        ),
        "humanoid-options": lambda: options_table(HumanoidWalkConfig, HumanoidWalkConfig.__annotations__),
        "humanoid-track-options": lambda: options_table(HumanoidTrackConfig, HumanoidTrackConfig.__annotations__),
        "humanoid-termination": lambda: termination_table("humanoid_walk"),
        "humanoid-track-termination": lambda: termination_table("humanoid_track"),
        "humanoid-amp-features": lambda: layout_table(amp_layout(50, humanoid().traits.contact_scale)),
        "config-env": lambda: settings_table(training.EnvConfig, "env"),
        "config-ppo": lambda: settings_table(training.PPOConfig, "ppo"),
        "config-networks": lambda: settings_table(training.NetworkConfig, "networks"),
        "config-amp": lambda: settings_table(AMPConfig, "amp"),
        "config-encoder": lambda: settings_table(EncoderConfig, "encoder"),
        "config-muscle": lambda: settings_table(MuscleConfig, "muscle"),
        "config-dynamics": lambda: settings_table(DynamicsConfig, "dynamics"),
        "config-resampling": lambda: settings_table(ResamplingConfig, "resampling"),
        "config-run": lambda: settings_table(training.RunConfig, "run"),
        "config-wandb": lambda: settings_table(training.WandbConfig, "run.wandb"),
        "config-stop": lambda: settings_table(training.StopWhen, "run.stop_when"),
    }


def render(page: str, where: str) -> str:
    """The page with every table regenerated."""
    known = tables()

    def write(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in known:
            raise SystemExit(f"{where}: no table {name!r}; there are {', '.join(known)}")
        return f"{match[1]}\n{known[name]()}\n{match[3]}"

    return BLOCK.sub(write, page)


def pages() -> list[Path]:
    return [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]


def stale() -> dict[Path, str]:
    """Pages that differ from the code, with their correct text."""
    found = {}
    for page in pages():
        now = page.read_text(encoding="utf-8")
        new = render(now, str(page.relative_to(ROOT)))
        if new != now:
            found[page] = new
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    args = parser.parse_args()
    found = stale()
    for page, new in found.items():
        print(f"{page.relative_to(ROOT)} {'is out of date' if args.check else 'written'}")
        if not args.check:
            page.write_text(new, encoding="utf-8")
    if found and args.check:
        raise SystemExit("run: python scripts/make_docs.py")


if __name__ == "__main__":
    run_script(main)
