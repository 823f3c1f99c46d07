"""Bundles: the graph acts as the trained policy does, nothing half-done is written, nothing altered is read."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.still_clips import BLIND, IMITATION, WALK

from gait_trainers.config.layers import validate
from gait_trainers.config.schema import NetworkConfig
from gait_trainers.models.actor_critic import build_policy
from gait_trainers.policies import export as export_module
from gait_trainers.policies.base import BundleError, Feedforward, GaussianPolicy, PolicyError
from gait_trainers.policies.bundle import load_bundle, sha256, write_checksums
from gait_trainers.policies.environment import make_env
from gait_trainers.policies.export import ExportError, export, last_quarter, observe
from gait_trainers.policies.loading import load_policy
from gait_trainers.policies.manifest import describe_action, describe_command, readable_json
from gait_trainers.policies.torch_policy import PolicyNetwork
from gait_trainers.rl.train import train
from gait_trainers.runs.checkpoint import load_artefacts, read_networks
from gait_trainers.runs.normalizer import ObsNormalizer
from gait_trainers.runs.provenance import licenses_of
from gait_trainers.runs.run_folder import RunError


@pytest.fixture(scope="module")
def run(reference_clip, tmp_path_factory) -> Path:
    """A run of two tiny iterations, discriminator included."""
    tree = {
        "env": {"num_envs": 16, "threads": 1},
        "ppo": {"n_steps": 16, "minibatches": 4},
        "networks": {"policy": [32], "value": [32], "log_std_init": -1.0},
        "amp": {"data": str(reference_clip), "hidden": [32, 16], "frames": 2, "batch_size": 64},
        "run": {"iterations": 2, "tensorboard": False, "seed": 3, "name": "tiny"},
    }
    tree["run"]["out"] = str(tmp_path_factory.mktemp("runs"))
    return train(validate(tree, "test")).run.path


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    return export(run, tmp_path_factory.mktemp("out") / "walker")


@pytest.fixture
def bundle(exported, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(exported, tmp_path / "walker"))


def load_run_files(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step_*.pt"))


def spoil(bundle: Path, change) -> None:
    """Change policy.json and make its checksum right again."""
    manifest = json.loads((bundle / "policy.json").read_text())
    change(manifest)
    (bundle / "policy.json").write_text(json.dumps(manifest))
    write_checksums(bundle)


def act(policy: GaussianPolicy, obs: np.ndarray, **options) -> np.ndarray:
    """Actions at the beginning of an episode."""
    return policy.act(obs, policy.initial_state(len(obs)), np.ones(len(obs), bool), **options)[0]


# -- what is written -----------------------------------------------------------------------------------


def test_a_network_names_no_files_of_the_machine(bundle):
    for file in bundle.glob("*.onnx"):
        assert b".py" not in file.read_bytes()


def test_the_bundle_acts_as_the_trained_policy(run, bundle):
    policy, normalize, _ = read_networks(run)
    loaded = load_bundle(bundle)
    obs = np.random.default_rng(0).normal(0, 3, (200, 37)).astype(np.float32)
    expected, _ = policy.predict(normalize(obs), deterministic=True)
    np.testing.assert_allclose(act(loaded, obs), np.clip(expected, -1, 1), atol=1e-5)
    np.testing.assert_allclose(act(loaded, obs[:1]), act(loaded, obs)[:1], atol=1e-6)  # any batch size


def test_bundle_run_and_checkpoint_act_alike_and_sample_alike(run, bundle):
    checkpoint = sorted((run / "checkpoints").glob("*.pt"))[-1]
    obs = np.random.default_rng(0).normal(size=(5, 37)).astype(np.float32)
    sampled = [
        act(load_policy(path), obs, deterministic=False, rng=np.random.default_rng(1))
        for path in (bundle, run, checkpoint)
    ]
    np.testing.assert_allclose(sampled[1], sampled[0], atol=1e-5)
    np.testing.assert_array_equal(sampled[1], sampled[2])
    assert np.abs(sampled[0] - act(load_policy(bundle), obs)).mean() > 0.05  # std e^-1


@pytest.mark.parametrize("shape", [(3, 5), (37,), (1, 2, 37)])
def test_observations_of_another_size_are_named(run, bundle, shape):
    for path in (run, bundle):
        policy = load_policy(path)
        with pytest.raises(PolicyError, match=r"the policy takes \(n, 37\)"):
            policy.act(np.zeros(shape), (), np.ones(shape[0], bool))


def test_samples_are_clipped_after_the_noise():
    mean, std = np.full((1000, 9), 2.0, np.float32), np.full((1000, 9), 1.0, np.float32)
    policy = GaussianPolicy("p", Feedforward(lambda obs: (mean, std)), "GaitNet/WildRobot-v0")
    action = act(policy, np.zeros((1000, 37)), deterministic=False, rng=np.random.default_rng(0))
    # P(2 + z < 1) = P(z < -1) = 0.159; noise on a clipped mean would give P(z < 0) = 0.5.
    assert (action < 1.0).mean() == pytest.approx(0.159, abs=0.02)


def test_the_manifest_says_how_to_run_it(exported, run):
    manifest = json.loads((exported / "policy.json").read_text())
    assert manifest["action"]["joints"][1] == "left_hip_pitch"
    assert manifest["action"]["home_rad"][3] == pytest.approx(0.4147)
    assert manifest["action"]["filter_alpha"] == 0.7
    assert (manifest["environment"]["control_rate_hz"], manifest["environment"]["physics_rate_hz"]) == (50.0, 500.0)
    assert sum(row["size"] for row in manifest["observation"]["layout"]) == manifest["observation"]["size"] == 37
    assert manifest["training"]["seed"] == 3
    assert manifest["training"]["steps"] == 2 * 16 * 16
    assert manifest["parity"]["largest_difference"] <= 1e-5
    assert manifest["style"]["frames"] == 2


def test_a_bundle_is_of_one_checkpoint_while_the_run_goes_on(run, tmp_path, monkeypatch):
    """Another one comes after the networks have been read: neither discriminator nor steps are its."""
    own = Path(shutil.copytree(run, tmp_path / "going"))
    (first, *_), last = load_run_files(own), load_run_files(own)[-1]
    kept = last.read_bytes()
    last.unlink()
    reads: list[Path] = []

    def read(path):
        reads.append(Path(path))
        last.write_bytes(kept)
        return read_networks(path)

    monkeypatch.setattr(export_module, "read_networks", read)
    bundle = export(own, tmp_path / "bundle")
    assert json.loads((bundle / "policy.json").read_text())["training"]["checkpoint"] == reads[0].name != last.name
    assert first.is_file()


def test_checksums_are_those_of_sha256sum(exported):
    lines = (exported / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["policy.json", "policy.onnx", "style.onnx"]
    assert lines[0].split("  ")[0] == hashlib.sha256((exported / "policy.json").read_bytes()).hexdigest()


def test_the_exported_discriminator_scores_as_the_trained_one(run, bundle):
    critic = load_artefacts(run)[0].scorer
    windows = np.random.default_rng(0).normal(size=(50, 58)).astype(np.float32)
    with torch.no_grad():
        expected = critic(torch.from_numpy(windows)).numpy()
    style = load_bundle(bundle).style
    assert style.frames == 2
    np.testing.assert_allclose(style.score(windows), expected, rtol=1e-4, atol=1e-5)


def test_real_observations_are_from_the_environment(exported):
    obs, starts = observe(load_bundle(exported), count=95, seed=1)
    assert obs.shape == (10, 10, 37)
    assert starts[0].all()
    obs = obs.reshape(-1, 37)[:95]
    gravity = obs[:, 24:27]
    np.testing.assert_allclose(np.linalg.norm(gravity, axis=1), 1.0, atol=1e-5)
    assert np.unique(obs[:, 27]).size >= 10  # every sub-environment has its own forward command


def test_an_observation_that_never_varied_keeps_its_meaning():
    # A forward command of 0.4 in every episode: variance 0, so 1e-4 is what it is divided by. Rounding the mean
    # to float32 alone would shift the normalised value by 6e-5.
    policy = build_policy(NetworkConfig(policy=[8], value=[8]), 37, 9)
    normalizer = ObsNormalizer(np.full(37, 0.4), np.zeros(37), clip=10.0, epsilon=1e-8)
    network = PolicyNetwork(policy, normalizer)
    seen = {}
    original = network.policy.extract_features
    network.policy.extract_features = lambda x, extractor: seen.setdefault("x", original(x, extractor))
    obs = np.full((1, 37), 0.4, np.float32) + np.linspace(-1e-4, 1e-4, 37, dtype=np.float32)
    with torch.no_grad():
        network(torch.from_numpy(obs))
    np.testing.assert_allclose(seen["x"].numpy(), normalizer(obs), atol=1e-6)


def test_lists_of_numbers_stay_on_one_line():
    text = readable_json({"a": [1, 2], "b": ["x, y", "[ z ]"], "c": [{"d": [3]}], "e": []})
    assert json.loads(text) == {"a": [1, 2], "b": ["x, y", "[ z ]"], "c": [{"d": [3]}], "e": []}
    assert '"a": [1, 2],' in text


def test_last_quarter_of_the_metrics(tmp_path):
    rows = "".join(f"{i},{i / 10}\n" for i in range(1, 9))
    (tmp_path / "m.csv").write_text("iteration,disc_acc\n" + rows)
    assert last_quarter(tmp_path / "m.csv") == {"iteration": 7.5, "disc_acc": 0.75}
    assert last_quarter(tmp_path / "absent.csv") == {}


# -- what is refused -----------------------------------------------------------------------------------


def test_a_graph_that_differs_is_not_written(run, tmp_path, monkeypatch):
    original = PolicyNetwork.forward

    def off_by_little(self, observation):
        action, mean, std = original(self, observation)
        return action, mean + 1e-4, std

    monkeypatch.setattr(PolicyNetwork, "forward", off_by_little)
    with pytest.raises(ExportError, match=r"differ by 0\.0001.* on 1000 observations.*nothing was written"):
        export(run, tmp_path / "walker")
    assert list(tmp_path.iterdir()) == []


def test_a_crash_in_the_middle_leaves_the_old_bundle(run, bundle, monkeypatch):
    before = sha256(bundle / "policy.onnx")

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "write_checksums", crash)
    with pytest.raises(KeyboardInterrupt):
        export(run, bundle, force=True)
    assert sha256(bundle / "policy.onnx") == before
    assert [path.name for path in bundle.parent.iterdir()] == ["walker"]
    load_bundle(bundle)


def test_nothing_is_overwritten_without_force(run, bundle):
    with pytest.raises(ExportError, match=r"exists already.*--force"):
        export(run, bundle)
    (bundle / "notes.txt").write_text("mine")
    export(run, bundle, force=True)
    assert not (bundle / "notes.txt").exists()
    load_bundle(bundle)


def test_force_replaces_bundles_only(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match="is not a bundle"):
        export(run, tmp_path, force=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_no_run_no_export(tmp_path):
    with pytest.raises(RunError, match="nowhere: no such file or folder; expected a run folder"):
        export(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="is not a run folder"):
        export(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- what is not read ----------------------------------------------------------------------------------


def test_missing_folder_and_missing_file(bundle, tmp_path):
    with pytest.raises(BundleError, match="no such folder"):
        load_bundle(tmp_path / "nowhere")
    (bundle / "policy.onnx").unlink()
    with pytest.raises(BundleError, match=r"policy\.onnx missing; a bundle holds policy\.json"):
        load_bundle(bundle)


def test_missing_listed_file(bundle):
    (bundle / "style.onnx").unlink()
    with pytest.raises(BundleError, match=r"style\.onnx missing; SHA256SUMS lists it"):
        load_bundle(bundle)


def test_one_changed_byte(bundle):
    data = bytearray((bundle / "policy.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / "policy.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=r"policy\.onnx: differs from its checksum"):
        load_bundle(bundle)


def test_unlisted_network(bundle):
    lines = (bundle / "SHA256SUMS").read_text().splitlines(keepends=True)
    (bundle / "SHA256SUMS").write_text("".join(line for line in lines if "style" not in line))
    with pytest.raises(BundleError, match=r"does not list style\.onnx"):
        load_bundle(bundle)


def test_garbled_checksums_name_the_line(bundle):
    with open(bundle / "SHA256SUMS", "a") as file:
        file.write("0" * 64 + "  ../../etc/passwd\n")
    with pytest.raises(BundleError, match="SHA256SUMS, line 4"):
        load_bundle(bundle)


def test_truncated_network_with_the_right_checksum(bundle):
    data = (bundle / "policy.onnx").read_bytes()
    (bundle / "policy.onnx").write_bytes(data[: len(data) // 2])
    write_checksums(bundle)
    with pytest.raises(BundleError, match=r"policy\.onnx: not a usable ONNX network"):
        load_bundle(bundle)


def test_another_network_in_its_place(bundle):
    shutil.copy(bundle / "style.onnx", bundle / "policy.onnx")
    write_checksums(bundle)
    with pytest.raises(BundleError, match=r"maps \['features'\] to \['score'\], expected \['observation'\]"):
        load_bundle(bundle)


def test_swapped_observation_rows(bundle):
    def swap(manifest):
        rows = manifest["observation"]["layout"]
        rows[0], rows[1] = rows[1], rows[0]

    spoil(bundle, swap)
    with pytest.raises(BundleError, match=r"row \[0, 9\] has .* the environment has .*\(joint_position\)"):
        load_bundle(bundle)


def test_another_unit_and_a_missing_row(bundle, tmp_path):
    second = Path(shutil.copytree(bundle, tmp_path / "second"))
    spoil(bundle, lambda m: m["observation"]["layout"][1].update(unit="deg/s"))
    with pytest.raises(BundleError, match=r"row \[9, 18\] has unit 'deg/s', the environment has 'rad/s'"):
        load_bundle(bundle)
    spoil(second, lambda m: m["observation"]["layout"].pop())
    with pytest.raises(BundleError, match="observation has 6 rows"):
        load_bundle(second)


def test_reworded_descriptions_do_no_harm(bundle):
    spoil(bundle, lambda m: m["observation"]["layout"][1].update(description="how fast"))
    load_bundle(bundle)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda m: m["environment"]["kwargs"].update(warp=9), "unknown key 'warp'"),
        (lambda m: m["environment"].update(id="GaitNet/Nobody-v0"), "cannot make GaitNet/Nobody-v0"),
        (lambda m: m["action"]["joints"].reverse(), "actions drive"),
        (lambda m: m.update(format_version=99), "format_version is 99, this version reads 1"),
        (lambda m: m["environment"].pop("kwargs"), r"key 'environment\.kwargs' missing"),
        (lambda m: m.pop("style"), r"key 'style\.frames' missing"),
    ],
)
def test_manifests_that_do_not_fit(bundle, change, message):
    spoil(bundle, change)
    with pytest.raises(BundleError, match=message):
        load_bundle(bundle)


def test_a_manifest_that_is_no_json_names_the_line(bundle):
    (bundle / "policy.json").write_text('{\n"format_version": 1,\n')
    write_checksums(bundle)
    with pytest.raises(BundleError, match=r"policy\.json, line 3: not valid JSON"):
        load_bundle(bundle)


# -- for another environment ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def blind(tmp_path_factory) -> Path:
    """A run of the imitation environment whose policy sees no reference and acts about the home pose."""
    tree = {
        "algorithm": "ppo",
        "env": {"id": IMITATION, "num_envs": 8, "threads": 1, "kwargs": {"max_distance": 0.4, **BLIND}},
        "ppo": {"n_steps": 8, "minibatches": 2},
        "networks": {"policy": [16], "value": [16]},
        "run": {"iterations": 1, "tensorboard": False, "name": "blind"},
    }
    tree["run"]["out"] = str(tmp_path_factory.mktemp("runs"))
    return train(validate(tree, "test")).run.path


def test_a_policy_that_sees_no_reference_is_exported_for_walking(blind, tmp_path, capsys):
    policy = load_bundle(export(blind, tmp_path / "walker", env_id=WALK))
    assert (policy.env_id, policy.env_kwargs) == (WALK, {})
    assert "without action_base, max_distance, reference_observation" in capsys.readouterr().err
    assert policy.details["command"]["low"] == [0.1, 0.0, 0.0]
    obs = observe(policy, count=20).obs.reshape(20, -1)
    ours, theirs = policy.first(obs), load_policy(blind).first(obs)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)


@pytest.mark.parametrize("base, gain", [("reference", 0.25), ("home", 1.0)])
def test_the_manifest_says_what_an_action_corrects(base, gain):
    task = make_env(IMITATION, threads=1, action_base=base, action_gain=0.25).core.task
    action = describe_action(task)
    assert action["target_rad"] == f"clip({base}_rad + scale_rad * filtered, lower_rad, upper_rad)"
    # An action that asks for a small correction of every joint, as the manifest has it and as the task does it.
    memory, target = task.blank_memory(1), np.full(9, 0.1)
    memory.reference_qpos[0, 7:] = here = task.robot.home + 0.02
    start = here if base == "reference" else np.array(action["home_rad"])
    expected = np.clip(start + np.array(action["scale_rad"]) * target, action["lower_rad"], action["upper_rad"])
    np.testing.assert_allclose(task.actions.target(target[None], memory)[0], expected)
    np.testing.assert_allclose(action["scale_rad"], gain * task.robot.half_range)
    assert describe_command(task)["from"] == "the reference clip"


def test_the_manifest_says_how_far_ahead_a_target_runs(human_reference):
    task = make_env("GaitNet/HumanoidImitation-v0", threads=1, reference=human_reference).core.task
    action = describe_action(task)
    ahead = "reference_rad + lead_s * reference_rad_s + reference_torque_nm / kp_nm_rad"
    assert action["target_rad"].startswith(f"clip({ahead} + scale_rad * filtered")
    memory, correction = task.blank_memory(1), np.full(50, 0.1)
    memory.reference_qpos[0, 7:], memory.reference_qvel[0, 6:] = task.robot.home, 0.5
    expected = task.robot.home + np.array(action["lead_s"]) * 0.5 + np.array(action["scale_rad"]) * correction
    expected = np.clip(expected, action["lower_rad"], action["upper_rad"])
    np.testing.assert_allclose(task.actions.target(correction[None], memory)[0], expected)


def test_what_sees_a_reference_is_not_exported_for_walking(blind, tmp_path):
    tree = yaml.safe_load((blind / "config.yaml").read_text())
    other = shutil.copytree(blind, tmp_path / "seeing")
    tree["env"]["kwargs"] = {**BLIND, "action_base": "reference"}
    (other / "config.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(PolicyError, match="correct the reference pose"):
        export(other, tmp_path / "out", env_id=WALK)
    assert not (tmp_path / "out").exists()


def test_a_bundle_states_the_licences_of_the_clips_behind_its_run(tmp_path: Path) -> None:
    for recorded, found in (
        ({"init": {"licenses": ["ODbL", "CC0"]}, "seed": 1}, {"licenses": ["CC0", "ODbL"]}),
        ({"licenses": ["CC0"], "init": {"licenses": ["CC0", 3]}}, {"licenses": ["CC0"]}),
        ({"licenses": "CC0", "init": None}, {}),
    ):
        (tmp_path / "provenance.json").write_text(json.dumps(recorded))
        assert export_module._provenance(tmp_path) == found
    assert [licenses_of(other) for other in (None, [1], "CC0", {"init": {"licenses": "CC0"}})] == [[]] * 4
