"""The parts that pages are made of: fields of settings, figures in words, curves, the heartbeat."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from helpers.service_data import EVALUATION, VALIDATION, metrics
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from gait_trainers.service.algorithms.fields import Field
from gait_trainers.service.db.heartbeat import SILENT, Heartbeat
from gait_trainers.service.db.tables import Base
from gait_trainers.service.errors import Invalid
from gait_trainers.service.operations.configure import StartRequest, algorithm, algorithms, form
from gait_trainers.service.pages import fields, findings, formats
from gait_trainers.service.pages.curves import panels


def test_a_heartbeat_counts_by_the_monotonic_clock():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as db:
        heart = Heartbeat()
        assert not heart.silent(db, now=100.0)
        assert not heart.silent(db, now=100.0 + SILENT)
        assert heart.silent(db, now=100.1 + SILENT)
        heart.beats = {"gone": 1}  # one has begun or ended since
        assert not heart.silent(db, now=200.0)
    engine.dispose()


@pytest.mark.parametrize("offered", algorithms(), ids=lambda known: known.name)
def test_every_setting_reads_back_what_it_shows(offered):
    """For all presets, so that a form that is sent unchanged changes nothing."""
    for preset in offered.presets:
        try:
            known = form(offered.name, preset, None)
        except Invalid:
            continue  # a preset of another body
        texts = fields.starting_texts(known)
        assert fields.changes(known, texts) == ({}, {}), preset
        for field in known:
            if field.default is not None:
                assert fields.read(field, texts[field.key]) == field.default, field.key


@pytest.mark.parametrize("decided", [True, False], ids=["what was decided", "everything"])
def test_settings_that_were_named_in_a_request_are_shown(decided):
    request = StartRequest(
        name="x", algorithm="ppo", preset="laptop", hidden_sizes=[64, 32], learning_rate=0.001, total_steps=10**6,
        batch_size=2048,
    )  # fmt: skip
    plan = algorithm("ppo").plan(request, [])
    known = form("ppo", "laptop")
    keys = fields.asked_for(request) if decided else {field.key for field in known}
    texts = fields.starting_texts(known, fields.trained_with(plan.config.model_dump(mode="json"), keys))
    assert texts["networks.policy"] == texts["networks.value"] == "64, 32"
    assert texts["ppo.learning_rate"] == "0.001"
    assert int(texts["run.iterations"]) == plan.iterations == -(-(10**6) // plan.rollout_steps)
    assert int(texts["ppo.minibatches"]) == plan.rollout_steps // 2048


def test_every_metric_of_a_training_has_a_curve_or_a_reason():
    """Those without a curve are bookkeeping."""
    names = [name for name in metrics()[-1] if name not in ("iteration", "steps", "elapsed")]
    shown = {name for panel in panels(names) for name in panel.names}
    hidden = {name for name in names if name not in shown}
    assert {name for name in names if name.startswith("reward_")} <= shown
    assert {"success_rate", "forward_velocity", "amp_reward", "value_loss", "steps_per_second"} <= shown
    assert not {name for name in hidden if name.startswith(("reward_", "success", "is_success"))}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.4, "0 s"), (95, "1 min 35 s"), (3_840, "1 h 04 min"), (183_600, "2 d 3 h"), (float("inf"), "–")],
)
def test_durations_read_well(seconds, text):
    assert formats.duration(seconds) == text


def test_sizes_figures_and_words_read_well():
    assert [formats.size(n) for n in (None, 12, 1_250, 182_344, 1_250_000, 3.2e9)] == [
        "–", "12 B", "1.2 kB", "182 kB", "1.2 MB", "3.2 GB",
    ]  # fmt: skip
    assert [formats.figure(x) for x in (None, True, 12345, 0.123456, 123456.7, [1, 2.5])] == [
        "–", "yes", "12,345", "0.1235", "123,457", "1, 2.5",
    ]  # fmt: skip
    assert formats.words("latency_p99_ms") == "Latency p99, ms"
    assert formats.tables({"a": 1, "b": {"c": 2, "d": {"e": 3}}}) == [
        ("", {"a": 1}), ("B", {"c": 2}), ("B: d", {"e": 3}),
    ]  # fmt: skip


def test_what_may_be_entered_is_said_in_words():
    whole = Field("run.iterations", "iterations", "int", 10, least=1, most=1_000_000)
    assert fields.allowed(whole) == "a whole number, 1 to 1,000,000"
    assert fields.allowed(Field("x", "x", "float", 0.1, least=0, optional=True)) == "a number, at least 0, or empty"
    assert fields.allowed(Field("x", "x", "choice", "a", choices=("a", "b"))) == ""
    weights = Field("env.kwargs.reward_weights", "weights", "weights", {"slip": -0.2})
    assert fields.read(weights, "slip: -0.5\r\nprogress: 2") == {"slip": -0.5, "progress": 2.0}
    for field, text in ((whole, "1.5"), (whole, ""), (weights, "slip"), (Field("x", "x", "bool", True), "maybe")):
        with pytest.raises(Invalid) as caught:
            fields.read(field, text)
        assert caught.value.field == field.key


def test_a_validation_shows_parity_latency_size_and_ranges():
    found = findings.validation(VALIDATION)
    assert found.passed is True
    assert found.headlines == {
        "Parity with torch, largest difference": "2.2e-08", "Latency p50": "0.0423 ms", "Latency p99": "0.0611 ms",
        "Size": "182 kB",
    }  # fmt: skip
    assert found.tables[1].rows == [["waist_yaw", -0.37, 0.34], ["left_hip_pitch", -0.63, 0.91]]
    assert findings.validation(None) is None


def test_an_evaluation_shows_what_matters_and_a_row_per_command():
    found = findings.evaluation(EVALUATION)
    assert found.headlines["Follows its command"] == "95 %"
    assert found.headlines["Error of speed"] == "0.0415 m/s"
    (table,) = found.tables
    assert table.columns == ["Command", "Episodes", "Success rate", "Speed error"]  # flight is known for none
    assert table.rows[1] == [[0.6, 0.0, 0.0], 10, 0.9, 0.052]


def test_comparisons_leave_out_what_is_alike():
    rows = findings.side_by_side([findings.flat({"a": {"b": 1}, "c": 2}), findings.flat({"a": {"b": 1}, "d": 3})])
    assert rows == {"a.b": [1, 1], "c": [2, None], "d": [None, 3]}
    assert findings.differing(rows) == {"c": [2, None], "d": [None, 3]}
