"""Every reader of files from outside is in one table, and stands whatever bytes it is given."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.examples import EXAMPLES
from helpers.examples import archive as archive_of
from helpers.scripts import load_script

from gait_envs.errors import GaitNetError
from gait_envs.reading.loaders import LOADERS, Loader, all_loaders, loader

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gait_envs", "gait_trainers")
fuzzer = load_script("fuzz")

# Damaged files of each; fewer of those that take long.
INPUTS = {"bundle": 15, "run folder": 30, "checkpoint": 60, "retarget description": 60, "normative data": 30,
          "motion model": 60, "motion run": 30, "refnn run": 30}  # fmt: skip
CAPTURES, OTHERS = 300, 120

# What still answers otherwise than it should, and how. Strict: who mends one takes it off the list.
KNOWN: dict[str, str] = {}


# -- the table --------------------------------------------------------------------------------------------

PARSERS = {
    ("np", "load"), ("np", "fromfile"), ("format", "open_memmap"), ("json", "load"), ("json", "loads"),
    ("yaml", "safe_load"), ("yaml", "load"), ("torch", "load"), ("onnx", "load"), ("csv", "reader"),
    ("csv", "DictReader"), ("pickle", "load"), ("pickle", "loads"), ("ET", "parse"), ("tomllib", "load"),
    ("MjModel", "from_xml_path"), ("MjSpec", "from_file"), ("", "read_json"), ("", "parse_json"), ("", "parse_table"),
    ("", "read_yaml"), ("", "parse_yaml"), ("yaml_text", "read_yaml"), ("", "Archive"), ("", "read_text"),
    ("onnx", "load_model_from_string"),
}  # fmt: skip
# Modules that parse, but no file from outside by themselves.
EXEMPT = {
    "gait_envs.biomechanics.published_gait": "our own tables",
    "gait_envs.mocap.retarget.target_body": "the model that a retarget description names; MuJoCo parses it",
    "gait_envs.models.portable": "a robot's model once more, which has been compiled",
    "gait_envs.models.bumps": "our own models",
    "gait_envs.models.robot": "our own models",
    "gait_envs.reading.outputs": "what a file holds that is about to be replaced",
    "gait_envs.reading.text": "the strict reader that loaders use",
    "gait_envs.reading.yaml_text": "the strict reader that loaders use",
    "gait_trainers.commands.checks": "values of --env-set",
    "gait_trainers.commands.export": "a manifest just written",
    "gait_trainers.commands.list": "manifests of the bundled policies",
    "gait_trainers.policies.export": "provenance of a run",
    "gait_trainers.policies.loading": "an archive's table of contents, to tell what it is",
    "gait_trainers.policies.onnx_check": "networks of a bundle, for its loader",
    "gait_trainers.policies.onnx_graph": "a network just written",
    "gait_trainers.service.operations.files": "figures of a gait that a process of the service has just written",
    "gait_trainers.service.operations.motions": "an archive's table of contents; a loader reads the rest",
    "gait_trainers.service.jobs.ingest": "metrics of a run that the service has started; what is no number is left out",
    "gait_trainers.service.jobs.models": "figures and division of a training that the service has just run",
    "gait_trainers.service.jobs.outcomes": "results that a process of the service has just written",
    "gait_trainers.service.operations.registry": "a manifest and provenance that the service has made",
    "gait_trainers.runs.checkpoint_format": "the bytes of a checkpoint, for its loader",
    "gait_trainers.runs.resumption": "the configuration within a checkpoint, for its loader",
    "gait_trainers.runs.lock": "who holds a lock, for a message",
    "gait_trainers.runs.sinks": "provenance of a run, for a name that is its own",
    "gait_trainers.runs.run_folder": "provenance of a run, when it is resumed",
    "gait_trainers.web.body": "our own list of observations",
    "gait_trainers.web.vendor": "our own list of packages",
}
FORMATS = "gait_envs.mocap.formats"  # enrols its modules


def calls(path: Path) -> set[tuple[str, str]]:
    """(name before the dot, name after it) of every call in a file; nothing is before the dot of a plain function."""
    functions = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [(func.value, func.attr) for func in functions if isinstance(func, ast.Attribute)]
    plain = {("", func.id) for func in functions if isinstance(func, ast.Name)}
    return plain | {(getattr(value, "attr", getattr(value, "id", "")), attr) for value, attr in named}


def test_every_module_that_parses_files_enrols_its_loader() -> None:
    enrolled = {getattr(entry.read, "__module__", FORMATS) for entry in all_loaders(*PACKAGES).values()}
    parsing = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if calls(path) & PARSERS:
            parsing.add(name)
            assert name in enrolled or name in EXEMPT or name.startswith(f"{FORMATS}."), f"{name} enrols no loader"
    assert len(parsing) > 10
    assert set(EXEMPT) <= parsing, "an exemption that nobody needs"


def test_every_loader_has_an_example() -> None:
    assert set(all_loaders(*PACKAGES)) == set(EXAMPLES)
    for name, make in EXAMPLES.items():
        if INPUTS.get(name, OTHERS) > 30:  # those are dear to make
            suffixes = {Path(example.path).suffix or "/" for example in make()}
            assert suffixes <= set(LOADERS[name].suffixes), name


def test_a_name_belongs_to_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gait_envs.reading.loaders.LOADERS", {})

    @loader("thing", ".thing")
    def read(path: Path) -> str:
        return "read"

    assert read(Path()) == "read"
    assert loader("thing", ".thing")(read) is read
    with pytest.raises(ValueError, match="loader 'thing' is registered twice"):
        loader("thing", ".thing")(lambda path: None)


# -- damaged files ----------------------------------------------------------------------------------------


def marked(name: str) -> Any:
    if name not in KNOWN:
        return name
    left_open = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    return pytest.param(name, marks=[pytest.mark.xfail(strict=True, reason=KNOWN[name]), left_open])


@pytest.mark.parametrize("name", [marked(name) for name in EXAMPLES])
def test_damaged_files_are_read_or_refused(name: str) -> None:
    all_loaders(*PACKAGES)
    inputs = INPUTS.get(name, CAPTURES if name.startswith("capture ") else OTHERS)
    assert [found.text for found in fuzzer.fuzz(name, inputs, seed=1)] == []


@pytest.mark.parametrize("name", ["clip", "demonstrations", "gait sequences", "motion model", "refnn", "walks"])
def test_arrays_of_half_precision_are_read_or_refused(name: str, tmp_path: Path) -> None:
    """Limits beyond 65,504 are no numbers of theirs: comparing with one must not warn."""
    all_loaders(*PACKAGES)
    (example, *_) = EXAMPLES[name]()
    (file,) = (file for file in example.files if file.endswith(".npz"))
    with np.load(io.BytesIO(example.files[file])) as archive:
        arrays = {key: archive[key] for key in archive.files}
    for key in (key for key, array in arrays.items() if array.dtype.kind == "f"):
        with np.errstate(all="ignore"):
            half = archive_of(**arrays | {key: arrays[key].astype(np.float16)})
        damaged = example.with_files(example.seal(example.files | {file: half}))
        assert fuzzer.check(LOADERS[name], damaged, tmp_path, limit=20.0) is None, key


# -- the fuzzer -------------------------------------------------------------------------------------------


def refuse(message: str) -> Any:
    def read(path: Path) -> None:
        raise GaitNetError(message.format(path=path))

    return read


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (lambda path: {}["gone"], "KeyError"),
        (lambda path: np.float64(1e308) * 10, "RuntimeWarning"),
        (lambda path: [0 for _ in iter(int, 1)], "TooSlowError"),
        (lambda path: np.ones((4 << 30) // 8), "MemoryError"),
        (refuse("something is wrong somewhere"), "names no file"),
        (refuse("{path}: this\nand that"), "several lines"),
    ],
)
def test_the_fuzzer_finds_faults(read: Any, kind: str, tmp_path: Path) -> None:
    (example,) = EXAMPLES["capture bvh"]()
    found = fuzzer.check(Loader("bad", read, (".bvh",)), example, tmp_path, limit=0.2)
    assert found.kind.startswith(kind)


def test_the_fuzzer_takes_a_clear_error_and_a_sound_result(tmp_path: Path) -> None:
    (example,) = EXAMPLES["capture bvh"]()
    assert fuzzer.check(Loader("clear", refuse("{path}: it is wrong"), (".bvh",)), example, tmp_path) is None
    assert (
        fuzzer.check(Loader("missing", lambda path: Path(f"{path}x").read_bytes(), (".bvh",)), example, tmp_path)
        is None
    )
    assert fuzzer.check(LOADERS["capture bvh"], example, tmp_path) is None


def test_an_input_follows_from_its_seed() -> None:
    files = EXAMPLES["split"]()[0].files
    first, again, other = (fuzzer.damaged(files, fuzzer.random.Random(seed)) for seed in ("a", "a", "b"))
    assert first == again != files
    assert first != other
