"""Bundles and run folders from strangers: nothing of theirs runs, nothing outside is read, every fault is one line."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import hostile
from helpers.examples import run_files

from gait_envs.errors import GaitNetError
from gait_trainers.config.layers import dump_yaml, load_config
from gait_trainers.config.stored import check_stored
from gait_trainers.policies.base import BundleError, PolicyError
from gait_trainers.policies.bundle import load_bundle, write_checksums
from gait_trainers.policies.loading import load_policy
from gait_trainers.policies.model_registry import find_registered
from gait_trainers.rl.train import resume
from gait_trainers.runs.checkpoint import read_networks
from gait_trainers.runs.loggers import read_metrics
from gait_trainers.runs.run_folder import RunError

# Nine lists, each of eight times the one before.
LAUGHS = "a: &a [1]\n" + "".join(
    f"{k}: &{k} [{', '.join([f'*{before}'] * 8)}]\n" for before, k in pairwise("abcdefghi")
)
WALK, TRACK = "GaitNet/WildRobot-v0", "GaitNet/WildRobotImitation-v0"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that can be imported, and must not be."""
    (tmp_path / "evil_module.py").write_text("raise SystemExit('this ran')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "evil_module"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name, data in run_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path / "run"


def set_config(run: Path, old: str, new: str) -> Path:
    text = (run / "config.yaml").read_text()
    assert old in text
    (run / "config.yaml").write_text(text.replace(old, new))
    return run


def one_line(error: pytest.ExceptionInfo[Any], path: Path) -> None:
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


# -- environments -----------------------------------------------------------------------------------------


def test_a_bundle_imports_no_module(tmp_path: Path, module: str) -> None:
    folder = hostile.bundle(tmp_path / "b", lambda m: m["environment"].update(id=f"{module}:{WALK}"))
    with pytest.raises(
        BundleError, match=r"cannot make evil_module:.*only the registered GaitNet/WildRobot-v0"
    ) as error:
        load_policy(folder)
    one_line(error, folder)
    assert module not in sys.modules


def test_a_run_folder_imports_no_module(run: Path, module: str) -> None:
    set_config(run, WALK, f"{module}:{WALK}")
    for read in (load_policy, read_networks, resume):
        with pytest.raises(GaitNetError, match=r"config\.yaml: cannot make evil_module:") as error:
            read(run)
        one_line(error, run)
    assert module not in sys.modules


def test_a_training_is_stored_without_the_module_that_it_was_given() -> None:
    config = load_config(overrides={"env.id": f"some_module:{WALK}"})
    assert config.env.id == f"some_module:{WALK}"  # typed by its user, whose module it is
    assert f"id: {WALK}\n" in dump_yaml(config)


@pytest.mark.parametrize(
    ("env_id", "kwargs", "said"),
    [
        ("CartPole-v1", {}, "cannot make CartPole-v1: a file may name only the registered"),
        (7, {}, "cannot make 7"),
        (WALK, [], "expected a mapping"),
        (WALK, {"threads": 1000}, "unknown key 'threads'.*a file may set heading_gain"),
        (WALK, {"num_envs": 100_000}, "unknown key 'num_envs'"),
        (WALK, {"render_mode": "human"}, "unknown key 'render_mode'"),
        (WALK, {"autoreset_mode": "x"}, "unknown key 'autoreset_mode'"),
        (WALK, {"reset_noise": "0.1"}, "reset_noise is '0.1': Input should be a valid number"),
        (WALK, {"reset_noise": float("nan")}, "reset_noise is nan: expected a number up to 1e"),
        (WALK, {"reset_noise": -1}, "reset_noise is -1"),
        (WALK, {"reset_noise": 1e300}, "reset_noise is 1e"),
        (WALK, {"curriculum": 1}, "curriculum is 1: Input should be a valid boolean"),
        (WALK, {"reward_weights": {"alive": [1]}}, "reward_weights is .*valid number"),
        (WALK, {"reward_weights": 5}, "reward_weights is 5"),
        (WALK, {"command_low": [0.1] * 100}, "100 values; at most 64"),
        (WALK, {"velocity_frame": "x" * 10_000}, r"velocity_frame is 'xxx+…"),
        (WALK, {"randomize": {"latency": [0, 10**6]}}, "randomize is .*expected a number up to 1000"),
        (WALK, {"randomize": {"warp": 1}}, "unknown key 'warp' in randomize"),
        (TRACK, {"future_frames": [10**9]}, "future_frames is .*expected a number up to 1000"),
        (TRACK, {"future_frames": list(range(1, 1000))}, "999 values; at most 64"),
        (TRACK, {"future_frames": [1, 2.5]}, "future_frames is .*valid integer"),
    ],
)
def test_options_in_files_are_judged_by_type_and_size(env_id: Any, kwargs: Any, said: str) -> None:
    with pytest.raises(GaitNetError, match=f"^file: .*{said}") as error:
        check_stored(env_id, kwargs, "file")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 800


def test_options_that_a_training_may_have_are_read() -> None:
    check_stored(TRACK, {"max_distance": float("inf"), "future_frames": [1, 5], "reference": ["a.npz"] * 1000}, "file")
    check_stored(WALK, {"randomize": True, "command_low": [0, 0, 0]}, "file")
    check_stored(WALK, {"randomize": {"latency": [0, 2], "mass": [0.9, 1.1]}}, "file")


@pytest.mark.parametrize("kwargs", [{"reference": "/etc"}, {"reference": "../clips"}, {"muscle_network": "../x.npz"}])
def test_a_bundle_names_no_file_outside(tmp_path: Path, kwargs: dict[str, str]) -> None:
    folder = hostile.bundle(tmp_path / "b", lambda m: m["environment"]["kwargs"].update(kwargs))
    with pytest.raises(BundleError, match="name a file outside of the bundle"):
        load_bundle(folder)


# -- networks ---------------------------------------------------------------------------------------------


def test_a_plain_network_is_read(tmp_path: Path) -> None:
    policy = load_bundle(hostile.bundle(tmp_path / "b", policy__onnx=hostile.plain_network()))
    action, _ = policy.act(np.zeros((2, 37)), (), np.ones(2, bool))
    np.testing.assert_array_equal(action, np.zeros((2, 9)))


def external(folder: Path) -> bytes:
    """A network whose weights lie in a file beside it."""
    import onnx
    from onnx.external_data_helper import set_external_data

    model = onnx.load_model_from_string(hostile.plain_network())
    tensor = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(tensor.raw_data)
    set_external_data(tensor, "weights.bin")
    tensor.ClearField("raw_data")
    return model.SerializeToString()


@pytest.mark.parametrize("listed", [True, False])
def test_weights_in_another_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool) -> None:
    folder = hostile.bundle(tmp_path / "b")
    (folder / "policy.onnx").write_bytes(external(folder))
    monkeypatch.chdir(folder)  # where ONNX Runtime would look for them
    write_checksums(folder)
    if not listed:
        sums = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
        (folder / "SHA256SUMS").write_text("".join(line for line in sums if "weights" not in line))
    with pytest.raises(BundleError, match=r"policy\.onnx: weight w lies in another file"):
        load_bundle(folder)


def test_unlisted_files_are_not_read(tmp_path: Path) -> None:
    folder = hostile.bundle(tmp_path / "b")
    (folder / "notes.txt").symlink_to("/dev/zero")
    load_bundle(folder)


def test_what_was_checked_is_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is another one as soon as it has been read."""
    from gait_trainers.policies import bundle as bundles

    folder = hostile.bundle(tmp_path / "b", policy__onnx=hostile.plain_network())
    read = bundles.checked_files

    def swap(path: Path) -> dict[str, bytes]:
        files = read(path)
        (path / "policy.onnx").write_bytes(hostile.linear(np.ones((37, 9), np.float32), np.ones(9, np.float32)))
        return files

    monkeypatch.setattr(bundles, "checked_files", swap)
    assert not load_bundle(folder).act(np.ones((1, 37)), (), np.ones(1, bool))[0].any()


def odd_networks() -> dict[str, tuple[bytes, str]]:
    from onnx import helper

    weight, bias = np.zeros((37, 9), np.float32), np.zeros(9, np.float32)
    shape = helper.make_node("ConstantOfShape", ["much"], ["zeros"])
    square = [helper.make_node("Transpose", ["observation"], ["t"]),
              helper.make_node("MatMul", ["observation", "t"], ["square"])]  # fmt: skip
    grown = helper.make_node("Expand", ["b", "observation_size"], ["grown"])
    return {
        "nan": (hostile.linear(np.full_like(weight, np.nan), bias), "weight w has numbers that are not finite"),
        "wide": (hostile.linear(np.zeros((38, 9), np.float32), bias), "observation has 38 numbers a row, expected 37"),
        "narrow": (hostile.linear(weight[:, :8], bias[:8]), "action_mean has 8 numbers a row, expected 9"),
        "zeros": (hostile.linear(weight, bias, [shape], much=np.array([10**5, 10**5])), "operator ConstantOfShape"),
        "folded": (hostile.network_of_zeros(10**5, 10**5), r"\d+ constant numbers and .* at most"),
        "square": (hostile.linear(weight, bias, square), "the size of square is not known before it runs"),
        "grown": (hostile.linear(weight, bias, [grown], observation_size=np.array([10**9, 9])), "constant numbers"),
        "text": (b"no network", "not a usable ONNX network"),
        "empty": (b"", "expected one input"),
    }


@pytest.mark.parametrize("name", odd_networks())
def test_networks_that_are_not_run(tmp_path: Path, name: str) -> None:
    data, said = odd_networks()[name]
    folder = hostile.bundle(tmp_path / "b", policy__onnx=data)
    with pytest.raises(BundleError, match=rf"policy\.onnx: .*{said}") as error:
        load_bundle(folder)
    one_line(error, folder)


# -- text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\xfe{}", "not UTF-8 text: line 1"),
        (hostile.DEEP.encode(), "nested more than 64 deep"),
        (b'{"format_version": ' + hostile.LONG.encode() + b"}", "has 5000 digits"),
        (b'{"format_version": 1, "format_version": 1}', "key 'format_version' is there twice"),
        (b"[" + b"1," * 1_100_000 + b"1]", "more than 1000000 values"),
        (b'"' + b"x" * (5 << 20) + b'"', "larger than 4194304 bytes"),
        (b'{"format_version": "\\ud800"}', "lone surrogate"),
        (b"[1]", "format_version is None"),
    ],
)
def test_manifests_that_are_not_read(tmp_path: Path, text: bytes, said: str) -> None:
    folder = hostile.bundle(tmp_path / "b", policy__json=text)
    with pytest.raises(BundleError, match=said) as error:
        load_bundle(folder)
    one_line(error, folder / "policy.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [("observation", {"layout": {}}), ("observation", {"layout": [1]}), ("environment", 3), ("action", {"joints": 1}),
     ("style", {"frames": 1e300}), ("style", {"frames": 10**9}), ("style", {"frames": True})],
)  # fmt: skip
def test_manifests_of_another_shape(tmp_path: Path, key: str, value: Any) -> None:
    folder = hostile.bundle(tmp_path / "b", lambda m: m.update({key: value}))
    with pytest.raises(BundleError, match=rf"policy\.json: .*{key}") as error:
        load_bundle(folder)
    one_line(error, folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff", "not UTF-8 text"),
        (hostile.DEEP[:1000].encode(), "line 1: not valid YAML: nested more than 64 deep"),
        (b"run: {seed: " + hostile.LONG.encode() + b"}", "a number of 5000 digits"),
        (b"run: {seed: 1, seed: 2}", "line 1: not valid YAML: key 'seed' is there twice"),
        (b"a: &a [1]\nb: &b {<<: {x: 1}}", r"merge keys \(<<\) are not read"),
        (b"a: &a [*a]", "nested more than 64 deep"),
        (LAUGHS.encode(), "more than 1000000 values"),
        (b"run: {name: 2001-13-45}", "not valid YAML"),
        (b"run: {name: 2001-01-02}", "run.name: holds a date, expected a number or text"),
        (b"1: 2", "a key must be text"),
        (b"env: !!python/name:os.system", "not valid YAML: could not determine a constructor"),
        (b"x" * (300 << 10), "larger than 65536 bytes"),
    ],
)  # fmt: skip
def test_configurations_that_are_not_read(run: Path, text: bytes, said: str) -> None:
    (run / "config.yaml").write_bytes(text)
    with pytest.raises(GaitNetError, match=said) as error:
        load_policy(run)
    one_line(error, run / "config.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\n", "not UTF-8 text"),
        (b"iteration,loss\n1,0.5\n2\n", "line 3: not 2 values"),
        (b"iteration,loss\n1,abc\n", "line 2: loss is 'abc', expected a number"),
        (b"iteration,iteration\n", "column 'iteration' is there twice"),
        (b'iteration,"loss\n', "line 2: unexpected end of data"),
        (b"a\n" * 300_000, "more than 200000 lines"),
    ],
)
def test_metrics_that_are_not_read(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "metrics.csv").write_bytes(text)
    with pytest.raises(RunError, match=said) as error:
        read_metrics(tmp_path / "metrics.csv")
    one_line(error, tmp_path / "metrics.csv")


def test_metrics_cut_by_a_kill_are_read_up_to_there(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("iteration,loss\n1,0.5\n2,\n3,0.")
    assert read_metrics(tmp_path / "metrics.csv") == [{"iteration": "1", "loss": "0.5"}, {"iteration": "2", "loss": ""}]


# -- run folders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("policy: [3]", "policy: [4]", "parameters are asked for"),
        ("policy: [3]", "policy: [100000, 100000]", "parameters, at most 16777216 are read"),
        ("previous_action: all", "previous_action: legs", "its networks map .* asks for"),
        ("alive: 0.5", "nothing: 0.5", "nothing"),
    ],
)
def test_networks_that_do_not_fit_their_run(run: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(GaitNetError, match=said) as error:
        load_policy(set_config(run, old, new))
    one_line(error, run)


def test_a_discriminator_of_any_size_is_not_built() -> None:
    from gait_trainers.learners.amp.learner import artefacts
    from gait_trainers.learners.amp.spec import AMPConfig

    section = AMPConfig(hidden=[100_000, 100_000])
    with pytest.raises(ValueError, match="parameters, at most 16777216 are read"):
        artefacts(section, {"callback": {"discriminator": {"mean": np.zeros(29 * section.frames)}}}, Path("x.pt"))


@pytest.mark.parametrize(
    ("state", "said"),
    [({}, "it has no 'learners'"), ({"learners": 3}, "does not fit"), ({"learners": {}}, "it has no 'spaces'")],
)
def test_states_that_lack_something(
    run: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], said: str
) -> None:
    from gait_trainers.runs import checkpoint

    monkeypatch.setattr(checkpoint, "load_checkpoint", lambda file: state)
    set_config(run, "algorithm: ppo", "algorithm: ppo-amp")
    read = checkpoint.read_networks if "learners" in state and state["learners"] == {} else checkpoint.load_artefacts
    with pytest.raises(RunError, match=said) as error:
        read(run)
    one_line(error, run)


def test_a_run_of_numbers_that_are_none(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gait_trainers.runs import checkpoint

    read = checkpoint.load_checkpoint

    def spoilt(file: Path) -> dict[str, Any]:
        state = read(file)
        state["policy"]["log_std"][0] = float("nan")
        return state

    monkeypatch.setattr(checkpoint, "load_checkpoint", spoilt)
    with pytest.raises(RunError, match="log_std has numbers that are not finite"):
        load_policy(run)


def test_a_bundle_without_its_training_begins_none(tmp_path: Path) -> None:
    from gait_trainers.rl.warm_start import _read

    folder = hostile.bundle(tmp_path / "b", lambda m: m.pop("training"))
    with pytest.raises(BundleError, match=r"key 'training\.steps' missing"):
        _read(str(folder))
    plain = hostile.bundle(tmp_path / "c", policy__onnx=hostile.plain_network())
    with pytest.raises(BundleError, match="holds no 'mean' of the normaliser"):
        _read(str(plain))


def test_checksums_listed_twice_or_garbled(tmp_path: Path) -> None:
    folder = hostile.bundle(tmp_path / "b")
    sums = (folder / "SHA256SUMS").read_text()
    for text, said in ((sums + sums, "is listed twice"), ("\xff", "line 1: expected"), (sums.upper(), "expected")):
        (folder / "SHA256SUMS").write_text(text)
        with pytest.raises(BundleError, match=said):
            load_bundle(folder)
    (folder / "SHA256SUMS").write_bytes(b"\xff")
    with pytest.raises(BundleError, match="not UTF-8"):
        load_bundle(folder)


@pytest.mark.parametrize("text", ["[]", hostile.DEEP, '{"command": 3}', '{"command": []}', "{"])
def test_a_damaged_provenance_is_named(tmp_path: Path, text: str) -> None:
    from gait_trainers.policies.export import _provenance

    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(RunError, match=r"provenance\.json") as error:
        _provenance(tmp_path)
    one_line(error, tmp_path)


def test_a_listed_file_without_end_is_not_summed(tmp_path: Path) -> None:
    folder = hostile.bundle(tmp_path / "mine", notes__txt=b"")
    with open(folder / "notes.txt", "r+b") as file:
        file.truncate(1 << 40)  # a hole, which takes no room on the disk
    with pytest.raises(BundleError, match=r"notes\.txt: 1099511627776 bytes; a file of a bundle has at most") as error:
        load_bundle(folder)
    one_line(error, folder)


def test_checkpoints_that_are_no_files_or_without_end(run: Path) -> None:
    (file,) = (run / "checkpoints").glob("*.pt")
    with open(file, "r+b") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(RunError, match="larger than 1073741824 bytes") as error:
        load_policy(run)
    one_line(error, file)
    file.unlink()
    file.mkdir()
    with pytest.raises(RunError, match="not a file") as error:
        load_policy(run)
    one_line(error, file)


def test_folders_full_of_odd_names_are_told_in_one_line(tmp_path: Path) -> None:
    for n in range(30):
        (tmp_path / f"line\n\x1b[2J{n}").write_text("")
    with pytest.raises(PolicyError, match=r"holds line \\x1b\[2J0") as error:
        load_policy(tmp_path)
    one_line(error, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("registry:walker@" + "9" * 5000, "walker has no version 9999"),
        ("registry:walker@\n", r"no version ; known are best \\x1b, 1"),
        ("registry:wal\nker", "has walker"),
        ("registry:walker@²", "no version ²"),
    ],
)
def test_names_of_the_registry_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "index.json").write_text('{"walker": {"versions": [1], "aliases": {"best\\n\\u001b": 1}}}')
    monkeypatch.setenv("GAITNET_REGISTRY", str(tmp_path))
    with pytest.raises(PolicyError, match=said) as error:
        find_registered(text)
    one_line(error, tmp_path if "wal\n" in text else Path("walker"))
