"""The humanoid's muscles: figures, what each does and over which range, lengths, curves, colours."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from helpers.human import JOINTS, ROOT, TABLES, helpers, load, needs_script

# Published fibres that are shorter than their best length wherever the joints may be.
ALWAYS_SHORT = {"bifemsh", "glut_max1", "pect", "sar"}


@pytest.fixture(scope="module")
def muscle() -> mujoco.MjModel:
    return load("muscle_scene")


def units(model: mujoco.MjModel) -> list[str]:
    """Names of the left side's muscles."""
    names = (model.actuator(i).name for i in range(model.na))
    return [name.removeprefix("left_") for name in names if name.startswith("left_")]


def test_there_are_92_units_and_motors_above(muscle: mujoco.MjModel) -> None:
    assert muscle.na == muscle.ntendon == 92
    assert len(units(muscle)) == 46
    driven = [muscle.joint(int(j)).name for j in muscle.actuator_trnid[92:, 0]]
    assert driven == list(JOINTS[21:])  # torso, neck, head, arms
    assert (muscle.actuator_trntype[:92] == mujoco.mjtTrn.mjTRN_TENDON).all()


def test_a_unit_by_hand(muscle: mujoco.MjModel) -> None:
    # Soleus: 3549 N, fibres of 0.05 m at 0.43633 rad, which reach 0.05 cos(0.43633) = 0.04532 m along the path.
    soleus = muscle.actuator("left_soleus")
    assert soleus.gainprm[2] == pytest.approx(3549 * np.cos(0.43633), rel=1e-4)
    best = np.ptp(soleus.lengthrange) / (soleus.gainprm[1] - soleus.gainprm[0])
    assert best == pytest.approx(0.04532, rel=1e-3)
    # As published, its fibres are 0.2914 - 0.25 m long in the neutral pose.
    data = mujoco.MjData(muscle)
    mujoco.mj_forward(muscle, data)
    slack = soleus.lengthrange[0] - soleus.gainprm[0] * best
    assert data.actuator("left_soleus").length[0] - slack == pytest.approx(0.2914 - 0.25, abs=2e-4)


def test_muscles_curves_are_thelens(muscle: mujoco.MjModel) -> None:
    prm = muscle.actuator("left_soleus").gainprm[:9].copy()
    prm[0], prm[1], prm[2] = 0.5, 1.5, 1.0  # the path's length is the fibre's, the peak force 1 N
    lengths = np.linspace(0.5, 1.5, 41)
    active = [-mujoco.mju_muscleGain(x, 0.0, np.array([0.5, 1.5]), 1.0, prm) for x in lengths]
    assert np.abs(active - np.exp(-((lengths - 1) ** 2) / 0.45)).max() < 0.09
    stretched = np.linspace(1.0, 1.6, 25)
    passive = [-mujoco.mju_muscleBias(x, np.array([0.5, 1.5]), 1.0, prm) for x in stretched]
    thelen = (np.exp(4 * (stretched - 1) / 0.6) - 1) / (np.exp(4) - 1)
    assert passive[0] == 0
    assert np.abs(passive - thelen).max() < 0.2


@needs_script
def test_every_unit_does_what_anatomy_says(muscle: mujoco.MjModel) -> None:
    arms = helpers("moment_arms")
    rows = arms.read_actions(TABLES)
    assert {row.text("unit") for row in rows} == set(units(muscle))
    wrong = []
    for row in rows:
        degrees = np.linspace(*row.numbers("from_deg", "to_deg"), 16)
        for side in ("left", "right"):
            sign = 1.0 if row.text("sign") == "+" else -1.0
            if side == "right" and row.text("joint") in ("spine_bending", "spine_rotation"):
                sign = -sign
                angles = -degrees
            else:
                angles = degrees
            if (sign * arms.sweep(muscle, [row.text("unit")], row.text("joint"), angles, side) <= 0).any():
                wrong.append((row.text("unit"), row.text("joint"), side))
    assert not wrong


@needs_script
def test_a_known_moment_arm(muscle: mujoco.MjModel) -> None:
    """By the difference of lengths: what a moment arm is."""
    arms = helpers("moment_arms")
    hinge = muscle.joint("left_ankle_dorsiflexion").qposadr[0]
    tendon, data, length = muscle.tendon("left_soleus").id, mujoco.MjData(muscle), []
    for angle in (-0.001, 0.001):
        data.qpos[:] = muscle.qpos0
        data.qpos[hinge] = angle
        mujoco.mj_forward(muscle, data)
        length.append(data.ten_length[tendon])
    arm = arms.sweep(muscle, ["soleus"], "ankle_dorsiflexion", [0.0])[0, 0]
    assert arm == pytest.approx(-(length[1] - length[0]) / 0.002, rel=1e-4)
    assert -0.06 < arm < -0.035  # Maganaris et al. 2000: 4.3 to 5.6 cm over the range


@needs_script
def test_published_moment_arms_are_met_as_the_page_says(muscle: mujoco.MjModel) -> None:
    page = ROOT / "docs" / "humanoid_body.md"
    assert helpers("moment_arms").comparison(muscle, TABLES) in page.read_text(encoding="utf-8")


@needs_script
def test_moment_arms_have_no_jump(muscle: mujoco.MjModel) -> None:
    """Along straight lines between random poses; a path that leaves its shape jumps by centimetres."""
    arms, rng = helpers("moment_arms"), np.random.default_rng(0)
    lower, upper = muscle.jnt_range[1:].T.copy()
    hip = [JOINTS.index(f"{side}_hip_flexion") for side in ("left", "right")]
    upper[hip] = np.radians(100)  # beyond, the fascia's short first stretch turns quickly
    data, last = mujoco.MjData(muscle), muscle.ntendon
    for _ in range(12):
        start, end = lower + rng.uniform(size=(2, len(lower))) * (upper - lower)
        lengths, before = [], None
        for share in np.linspace(0, 1, 100):
            qpos = np.concatenate([muscle.qpos0[:7], start + share * (end - start)])
            now = arms.moment_arms(muscle, qpos)
            data.qpos[:] = qpos
            mujoco.mj_kinematics(muscle, data)
            mujoco.mj_tendon(muscle, data)
            lengths.append(data.ten_length.copy())
            if before is not None:
                assert np.abs(now - before).max() < 0.006
                predicted = lengths[-2] - 0.5 * (now + before)[:, 6:] @ (end - start) / 99
                np.testing.assert_allclose(lengths[-1], predicted, atol=1e-4)
            before = now
        assert len(lengths[0]) == last


def test_lengths_stay_within_what_fibres_can_do(muscle: mujoco.MjModel) -> None:
    for unit in units(muscle):
        actuator = muscle.actuator(f"left_{unit}")
        shortest, longest = actuator.gainprm[:2]
        assert 0.049 < shortest < 1, unit
        assert (longest < 1) == (unit in ALWAYS_SHORT), unit
        assert longest < 2.2, unit


@needs_script
def test_colour_follows_activation() -> None:
    pytest.importorskip("matplotlib")
    pictures = helpers("pictures")
    model = load("muscle_scene")
    pictures.glow(model, pictures.activation_of(model, ("soleus",), ()))
    on, off = (model.tendon_rgba[model.tendon(f"{side}_soleus").id] for side in ("left", "right"))
    assert on[0] > 0.9 > off[0] + 0.3
