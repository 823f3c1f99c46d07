"""Scripts of the repository end as the programs do where their input is wrong: one line, status 2, no traceback."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
import sys
from pathlib import Path

import pytest
from helpers.scripts import load_script
from helpers.still_clips import idle, still, write

from gait_envs.assets import asset_path
from gait_envs.errors import GaitNetError
from gait_envs.reference.split import save_split

pytest.importorskip("stable_baselines3")
from gait_trainers.runs.checkpoint_files import save_checkpoint
from gait_trainers.runs.run_folder import RunError, create_run, new_run

SCRIPTS = Path(__file__).parents[1] / "scripts"
# These need neither package's input: they call programs, or say themselves what is wrong.
OWN = {
    "damage.py", "fetch_vendored.py", "fuzz.py", "golden.py", "make_humanoid.py", "mutate.py", "smoke_wheel.py",
    "sync_form.py", "third_party.py",
}  # fmt: skip
WRONG = (
    ("ablate_motion.py", ["nowhere", "--out", "out"]),
    ("make_humanoid_walk.py", ["--clone", "nowhere"]),
    ("make_tracker.py", ["nowhere"]),
    ("make_walker.py", ["--clips", "nowhere"]),
    ("bench_motionnn.py", ["nowhere"]),
    ("compare_learning.py", ["encoders", "--model", "nowhere", "--out", "out"]),
    ("compare_learning.py", ["resampling", "--clips", "nowhere", "--out", "out"]),
)


def test_every_script_is_run_so() -> None:
    found = set()
    for path in SCRIPTS.glob("*.py"):
        last = ast.unparse(ast.parse(path.read_text(encoding="utf-8")).body[-1])
        if "run_script(main)" not in last:
            found.add(path.name)
    assert found == OWN


@pytest.mark.parametrize("name, words", WRONG)
def test_wrong_input_is_one_line(
    name: str, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPTS / name), *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    told = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert told[-1].startswith(f"{name}: nowhere")
    assert "Traceback" not in "".join(told)


def test_clips_of_another_body_are_said_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clips = str(asset_path("motions/wildrobot_walk"))
    monkeypatch.setattr(sys, "argv", [str(SCRIPTS / "make_tracker.py"), clips, "--robot", "humanoid", "--work", "runs"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(SCRIPTS / "make_tracker.py"), run_name="__main__")
    assert "of the model 'wildrobot': joints differ" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("what, variants", [
    ("encoders", ["none", "frozen", "unfrozen", "random"]),
    ("dynamics", ["none", "dynamics"]),
    ("resampling", ["uniform", "failures", "in clip"]),
    ("memory", ["none", "frames", "gru", "lstm"]),
])  # fmt: skip
def test_every_variant_of_a_comparison_can_be_configured(
    what: str, variants: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With trainings that succeed at once: 80 % in the fifth of five iterations, of a minute and 100 steps each."""
    trained = []

    def train(config):
        run = Path(config.run.out) / config.run.name
        run.mkdir(parents=True)
        column = {"encoders": "is_success_rate", "resampling": "clip_success_rate"}.get(what, "success_rate")
        rows = [f"{100 * i},{60 * i},0.8" for i in range(1, 6)]
        (run / "metrics.csv").write_text("\n".join([f"steps,elapsed,{column}", *rows]) + "\n")
        trained.append(config)

    monkeypatch.setattr("gait_trainers.rl.train.resume_or_train", train)
    monkeypatch.setattr("gait_trainers.policies.loading.load_policy", lambda run: run)
    rates = {"success_rate": 0.6, "per_clip": [{"success_rate": rate} for rate in (0.2, 0.6, 1.0)]}
    monkeypatch.setattr("gait_trainers.evaluation.tracking.evaluate_tracking", lambda *_, **__: rates)
    words = [what, "--out", str(tmp_path / "out"), "--seeds", "2", "--model", "motionnn"]
    words += ["--clips", str(asset_path("motions/wildrobot_walk"))]
    monkeypatch.setattr(sys, "argv", [str(SCRIPTS / "compare_learning.py"), *words])
    runpy.run_path(str(SCRIPTS / "compare_learning.py"), run_name="__main__")
    told = capsys.readouterr().out
    for variant in variants:
        expected = "100 (100, 100)" if what == "resampling" else "500 (500, 500)"
        assert re.search(rf"{variant} +2   {re.escape(expected)} .*0\.80 \(0\.80, 0\.80\)", told)
        if what == "resampling":
            assert re.search(rf"{variant} +2   0\.20 \(0\.20, 0\.20\)", told)
        if what == "memory":
            assert re.search(rf"{variant} +2   0\.60 ± 0\.00 \(0\.60, 0\.60\)", told)
    assert len(trained) == 2 * len(variants)
    assert (tmp_path / "out" / "curves.png").is_file()


def test_a_calibration_of_another_clone_is_not_taken_for_this_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []

    def calibrate(config, speeds):
        run = new_run(config)
        create_run(config, {}, run)
        save_checkpoint(run, {}, 0, 1)
        made.append(config)
        return run

    monkeypatch.setattr("gait_trainers.imitation.calibration.calibrate", calibrate)
    script = str(SCRIPTS / "make_humanoid_walk.py")
    for clone in ("one", "one", "other"):
        monkeypatch.setattr(sys, "argv", [script, "--work", str(tmp_path / "work"), "--clone", clone])
        if clone == "other":
            with pytest.raises(SystemExit):
                runpy.run_path(script, run_name="__main__")
        else:
            runpy.run_path(script, run_name="__main__")
    (config,) = made
    assert (config.run.init, config.env.kwargs["command_high"]) == ("one", [1.4, 0.0, 0.0])
    assert config.networks.log_std_init == -3.7
    assert "calibrated_0 was made from one; give another --work or --seed" in capsys.readouterr().err


def test_recordings_of_captured_walks_are_those_that_step_as_often(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A policy that stands takes none of the hundred steps a minute that its clip is said to."""
    script = runpy.run_path(str(SCRIPTS / "make_walker.py"))
    clips = write(tmp_path, still("stand", 51, quality={"cadence": 100.0}))
    cadence, out = script["cadences"](clips), tmp_path / "recorded"
    assert cadence == {"stand": 100.0}
    alike = script["steps_alike"]
    rows = [{"cadence": 120.0, "rebounds": share} for share in (None, 0.0, 0.1, 0.11, 0.5)]  # None: it never swings
    assert [alike(row, 150.0) for row in rows] == [True, True, True, False, False]
    assert not alike({"cadence": 200.0, "rebounds": 0.0}, 150.0)
    with pytest.raises(GaitNetError, match="the tracker steps as often as the clip along none"):
        script["recorded"](idle(std=0.01), clips, cadence, out)
    assert not out.exists()
    monkeypatch.setitem(script["recorded"].__globals__, "RHYTHM", 1.0)
    assert script["recorded"](idle(std=0.01), clips, cadence, out) == out
    assert {path.stem for path in out.glob("*.npz")} == {"stand_calm_0", "stand_noisy_0", "stand_noisy_1"}
    check, work = script["check_same"], tmp_path / "work"
    check(clips, work)
    check(clips, work)
    bent = still("stand", 51)
    bent.qpos[:, 7] += 0.1  # as long and as fast, but another motion
    for other in (write(tmp_path / "other", bent), None):
        with pytest.raises(RunError, match="its stages are of other clips"):
            check(other, work)
    (tmp_path / "embedded" / "clone").mkdir(parents=True)  # begun before the clips were noted
    with pytest.raises(RunError, match="its stages are of other clips"):
        check(clips, tmp_path / "embedded")
    check(None, tmp_path / "embedded")
    settings = script["of_captures"](out)
    assert settings["env.kwargs.command_high"] == [pytest.approx(0.0, abs=0.02), 0.0, 0.0]
    assert settings["amp.data"] == settings["env.kwargs.reference"] == [str(out)]


@pytest.mark.parametrize("name", ["fuzz.py", "mutate.py"])
def test_what_fits_nothing_is_said(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPTS / name), "--only", "no such thing"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    assert ended.value.code == 2
    assert "--only no such thing fits no" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_is_not_judged_on_what_its_stages_learned_from(tmp_path: Path) -> None:
    check = load_script("make_tracker").check_same_parts
    parts = {"train": ["a", "b"], "test": ["c"]}
    file = save_split(tmp_path / "split.json", tmp_path, "subject", 0, parts)
    check(file, parts)
    with pytest.raises(RunError, match="another --hold-out"):
        check(file, {"train": ["a", "c"], "test": ["b"]})


@pytest.mark.parametrize(("words", "asked"), [([], ["walk"]), (["--activity", "run"], ["run"])])
def test_activities_take_the_place_of_walks(
    words: list[str], asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script, seen = load_script("ablate_motion"), []

    def figures(args: argparse.Namespace, row: str, seed: int) -> None:
        seen.append(args.activity)
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "_figures", figures)
    monkeypatch.setattr(sys, "argv", ["ablate_motion.py", "clips", "--out", str(tmp_path), *words])
    with pytest.raises(KeyboardInterrupt):
        script.main()
    assert seen == [asked]


def test_a_comparison_takes_no_run_of_other_iterations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))  # for the script that it imports
    script = load_script("compare_demonstrations")
    run = new_run(script._config(tmp_path, tmp_path / "bc_gail_0", "ppo", 0, 75))
    create_run(script._config(tmp_path, tmp_path / "bc_gail_0", "ppo", 0, 75), {}, run)
    steps = run.config().rollout_steps
    save_checkpoint(run, {}, 75 * steps, 1)
    assert script.run_of(tmp_path, "bc + gail", None, 0, 75) == run.path
    with pytest.raises(RunError, match="has 75 iterations, not 150"):
        script.run_of(tmp_path, "bc + gail", None, 0, 150)
    run.checkpoints()[-1].unlink()
    save_checkpoint(run, {}, 10 * steps, 1)  # as Ctrl-C leaves it
    with pytest.raises(RunError, match="has 10 iterations, not 75"):
        script.run_of(tmp_path, "bc + gail", None, 0, 75)
