"""Names that scripts read: commands and their options, files of run folders and bundles, keys of `--json`.

More may be added. What is listed here may neither go nor be renamed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from helpers.still_clips import idle, still, write
from typer.testing import CliRunner

from gait_envs.mocap import cli as data_cli
from gait_trainers import cli as train_cli
from gait_trainers.config.layers import validate
from gait_trainers.policies.export import export
from gait_trainers.rl.train import train

TRAINING = """--config --preset --iterations --total-steps --num-envs --lr --seed --verify --resume --device
    --torch-threads --init --out --name --set"""
GAIT_TRAIN = {
    "ppo": TRAINING,
    "ppo-amp": TRAINING + " --amp-weight --amp-data",
    "imitate": TRAINING + " --env --reference",
    "muscle": TRAINING + " --reference",
    "evaluate": """policy --episodes --command --sweep --no-sweep --reference --clip --stochastic --both --no-both
        --seed --env --env-set --threads --json""",
    "gait": """policy --reference --clip --command --normative --params --compare-params --seconds --settle --env
        --env-set --seed --threads --out --json""",
    "record": "policy --out --reference --stochastic --noise --tries --keep --seed --threads --force",
    "play": """policy --video --viewer --port --command --reference --clip --seconds --camera --width --seed
        --stochastic --env""",
    "export": "run --out --web --force --no-force --env",
    "rollout": "policy --out --walkers --range --seconds --reference --seed --threads",
    "refnn": "data --out --preset --config --set --resume --torch-threads",
    "evaluate-refnn": "model --data --walks --seed --json",
    "backward": "model data --out --test --holdout --refine --set --json",
}

CAPTURES = """captures --format --captured-fps --asf --map --low-pass --repair --no-repair --longest-gap --unit --up
    --source --license --subject --activity --table --accept-license"""
GAIT_DATA = {
    "import": CAPTURES + " --out --to --fps",
    "retarget": CAPTURES + " --robot --out --time --speed --start --end --jobs --picture --no-picture",
    "inspect": "source --clip --robot --plot",
    "view": "source --clip --robot --out --camera --width --height --slow --start --end",
    "export": """sources --to --out --robot --decimals --order --up --unit --fps --source --license --subject --activity
        --loop""",
    "split": "folder --by --parts --seed --out",
    "augment": "source --out --activity --subject --without --walks --mirror --no-mirror",
    "pack": "sources --out --accept-license --no-accept-license",
}

# -- commands ------------------------------------------------------------------------------------------


def options(app: typer.Typer, name: str) -> Iterator[str]:
    """Every way in which a command's options are written, and the names of its arguments."""
    group = typer.main.get_command(app)
    command = group.get_command(typer.Context(group), name)
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)


@pytest.mark.parametrize("name", GAIT_TRAIN)
def test_commands_keep_their_options(name: str) -> None:
    assert not set(GAIT_TRAIN[name].split()) - set(options(train_cli.app, name))


@pytest.mark.parametrize("name", GAIT_DATA)
def test_data_commands_keep_their_options(name: str) -> None:
    assert not set(GAIT_DATA[name].split()) - set(options(data_cli.app, name))


# -- files ---------------------------------------------------------------------------------------------

RUN = "config.yaml provenance.json metrics.csv tb checkpoints"
METRICS = "iteration steps elapsed forward_velocity command steps_per_second amp_reward disc_acc"
BUNDLE = "policy.json policy.onnx style.onnx SHA256SUMS"
MANIFEST = "format_version license environment observation command action training parity style exported_with"


def test_run_folders_and_bundles_keep_their_names(reference_clip: Path, tmp_path: Path) -> None:
    tree = {
        "algorithm": "ppo-amp",
        "env": {"num_envs": 4, "threads": 1},
        "ppo": {"n_steps": 8, "minibatches": 2},
        "networks": {"policy": [8], "value": [8]},
        "amp": {"data": str(reference_clip), "hidden": [8], "frames": 2, "batch_size": 16},
        "run": {"iterations": 1, "name": "tiny", "out": str(tmp_path)},
    }
    run = train(validate(tree, "test")).run.path
    assert run == tmp_path / "tiny"
    assert not set(RUN.split()) - {path.name for path in run.iterdir()}
    assert "step_000000000032.pt" in {path.name for path in (run / "checkpoints").iterdir()}
    header = (run / "metrics.csv").read_text().splitlines()[0]
    assert not set(METRICS.split()) - set(header.split(","))
    bundle = export(run, tmp_path / "bundle")
    assert not set(BUNDLE.split()) - {path.name for path in bundle.iterdir()}
    assert not set(MANIFEST.split()) - set(json.loads((bundle / "policy.json").read_text()))


# -- figures -------------------------------------------------------------------------------------------

ANY = "policy environment env_kwargs mode seed episodes success_rate is_success_rate falls style_score"
WALK = """speed_error speed_rms forward_velocity lateral_velocity yaw_rate yaw_rate_error lateral_drift
    heading_drift_deg mean_heading_drift_deg
    foot_slip step_symmetry step_time_symmetry step_length_symmetry stance_time_symmetry flight
    single_support double_support alternation cadence rebounds step_length stance_time cost_of_transport
    episode_length"""
TRACK = "mpjpe_global mpjpe_root mpjpe_aligned velocity_error acceleration_error progress"
CAUSES = "forward backward left right low diverged"


def evaluated(monkeypatch: pytest.MonkeyPatch, env_id: str, *words: str) -> dict:
    monkeypatch.setattr("gait_trainers.commands.evaluate.load_policy", lambda path, env: idle(env_id=env_id))
    words = ("evaluate", "any", "--threads", "1", "--env-set", "max_episode_steps=5", *words, "--json", "--both")
    return json.loads(CliRunner().invoke(train_cli.app, [*words], catch_exceptions=False).stdout)


def test_json_of_walking_keeps_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluated(monkeypatch, "GaitNet/WildRobot-v0", "--command", "0.3", "--episodes", "1")
    assert not {*ANY.split(), *WALK.split(), "per_command", "stochastic"} - set(found)
    assert not {*WALK.split(), "command", "success_rate", "is_success_rate", "falls"} - set(found["per_command"][0])
    assert not set(CAUSES.split()) - set(found["falls"])
    assert found["stochastic"].keys() == found.keys() - {"stochastic"}


def test_json_of_following_clips_keeps_its_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reference = write(tmp_path, still("stand", 6))
    found = evaluated(monkeypatch, "GaitNet/WildRobotImitation-v0", "--reference", reference)
    more = {"reference", "max_distance", "clips", "per_clip", "stochastic"}
    assert not {*ANY.split(), *TRACK.split(), *more} - set(found)
    of_a_clip = {"clip", "seconds", "speed", "episodes", "success_rate", "is_success_rate", "falls"}
    assert not {*TRACK.split(), *of_a_clip} - set(found["per_clip"][0])
    assert not {*CAUSES.split(), "strayed"} - set(found["falls"])
