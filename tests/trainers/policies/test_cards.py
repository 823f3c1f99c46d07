"""The claims of the model cards hold: today's code runs the bundled policies, and a part of each claim is replayed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gait_envs.assets import asset_path
from gait_trainers.policies.bundle import NETWORK, sha256
from gait_trainers.policies.loading import bundled_policies, load_policy
from gait_trainers.policies.manifest import contract_hash, describe

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "make_cards.py"

each_policy = pytest.mark.parametrize("name", bundled_policies())


def card(name: str) -> dict[str, Any]:
    return json.loads((asset_path("policies") / name / "evaluation.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def make_cards() -> ModuleType:
    if not SCRIPT.is_file():
        pytest.skip("an installed package carries no scripts")
    spec = importlib.util.spec_from_file_location("make_cards", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@each_policy
def test_the_contract_is_that_of_the_card_and_of_todays_code(name: str) -> None:
    policy, claimed = load_policy(name), card(name)
    assert contract_hash(policy.details) == claimed["contract"]
    assert contract_hash(describe(policy, {}, {})) == claimed["contract"]
    assert sha256(asset_path("policies") / name / NETWORK) == claimed["network_sha256"], "run scripts/make_cards.py"


def test_the_contract_is_what_a_program_that_runs_the_policy_relies_on() -> None:
    made = load_policy("wildrobot_walk").details
    one = contract_hash(made)
    same = [
        {"training": {"seed": 7}},
        {"environment": made["environment"] | {"kwargs": {"reward_weights": {"alive": 1.0}}}},
    ]
    other = [
        {"environment": made["environment"] | {"control_rate_hz": 100.0}},
        {"action": made["action"] | {"filter_alpha": 0.5}},
        {"observation": made["observation"] | {"layout": made["observation"]["layout"][::-1]}},
        {"memory": {"states": []}},
    ]
    assert all(contract_hash(made | change) == one for change in same)
    assert len({one, *(contract_hash(made | change) for change in other)}) == 1 + len(other)


@each_policy
def test_the_card_is_replayed(name: str, make_cards: ModuleType) -> None:
    """Success as claimed; speeds and distances nearly, as other processors round otherwise. A fall is chaotic."""
    found, claimed = make_cards.replay(load_policy(name)), card(name)["replay"]
    assert found.keys() == claimed.keys()
    assert found["success_rate"] == claimed["success_rate"]
    if claimed["success_rate"] == 0.0:
        return
    if "forward_velocity" in claimed:
        assert found["forward_velocity"] == pytest.approx(claimed["forward_velocity"], abs=0.05)  # m/s
    else:
        assert found["mpjpe_root"] == pytest.approx(claimed["mpjpe_root"], rel=0.1)  # mm


def test_bundled_walkers_and_trackers_claim_to_succeed() -> None:
    claimed = {name: card(name)["replay"]["success_rate"] for name in bundled_policies()}
    assert claimed == dict.fromkeys(claimed, 1.0) | {"wildrobot_clone": 0.0}  # which is where trainings begin


@pytest.mark.skipif(not SCRIPT.is_file(), reason="an installed package carries no pages")
def test_the_clone_falls_where_the_pages_say_so() -> None:
    rows = {row["command"][0]: row["success_rate"] for row in card("wildrobot_clone")["results"]["per_command"]}
    assert {speed for speed, stays_up in rows.items() if stays_up == 0.0} == {speed for speed in rows if speed >= 0.4}
    for page in ("docs/tutorials/walk.md", "docs/benchmarks.md"):
        text = " ".join((SCRIPT.parents[1] / page).read_text(encoding="utf-8").split())
        assert "at 0.4 m/s and above it falls" in text, page
