"""A BVH of our own is a capture like any other: its joints are known, and what `inspect` proposes works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.assets import asset_path
from gait_envs.mocap.capture import SkeletonMotion, forward_kinematics
from gait_envs.mocap.export import robot_skeleton
from gait_envs.mocap.quality import robot_poses
from gait_envs.mocap.retarget.joint_names import SIDES, find_joints
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.reference.clip import load_clip
from gait_envs.rotations import quat_from_matrix

ROBOTS = ["wildrobot", "humanoid", "examples/my_robot/retarget.yaml"]
ARMS = ("shoulder", "elbow")


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_joints_of_a_robot_are_known_by_name(robot: str) -> None:
    """Hips, knees and ankles are where its description has them; an ankle's node is the one that turns the foot."""
    body = load_body(Path(__file__).parents[3] / robot if "/" in robot else robot)
    skeleton = robot_skeleton(body).skeleton
    roles, notes = find_joints(skeleton)
    assert notes == ()
    nodes = len(skeleton.names)
    still = np.tile([1.0, 0.0, 0.0, 0.0], (1, nodes, 1))
    zero = np.r_[np.zeros(3), quat_from_matrix(np.eye(3)), body.model.qpos0[7:]][None]
    places = forward_kinematics(SkeletonMotion(skeleton, still, skeleton.offsets[None], 50.0))[0][0]
    wanted = robot_poses(zero, body).joints[0]  # (2, 3, 3)
    for i, side in enumerate(SIDES):
        for k, part in enumerate(("hip", "knee", "ankle")):
            np.testing.assert_allclose(places[roles[f"{side}_{part}"]], wanted[i, k], atol=1e-9, err_msg=part)
        foot = skeleton.names[roles[f"{side}_toe"]]
        assert foot.startswith(side)
        assert skeleton.parents[roles[f"{side}_toe"]] == roles[f"{side}_ankle"]
        assert robot == "wildrobot" or all(f"{side}_{part}" in roles for part in ARMS)


def test_the_way_that_inspect_proposes_works(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out as BVH, in as a capture: the same walk, but for what the robot's description asks of any capture."""
    monkeypatch.chdir(tmp_path)
    clip = asset_path("motions/human_walk/walk_120.npz")
    assert run("export", clip, "--out", "back.bvh")[0] == 0
    code, text, _ = run("inspect", "back.bvh")
    assert code == 0
    words = text.split("next     gait-data ")[1].split()
    assert run(*words, "--no-picture")[0] == 0
    first, again = load_clip(clip), load_clip(tmp_path / "back.npz")
    assert again.meta["faults"] == []
    assert (again.meta["unit_m"], again.meta["up"]) == (1.0, "+y")
    scale = load_body("wildrobot").leg_length / load_body("humanoid").leg_length
    assert again.meta["scale"] == pytest.approx(scale, rel=1e-3)
    assert again.mean_speed == pytest.approx(scale * first.mean_speed, rel=0.02)
    times = [np.arange(of.frames) / of.fps for of in (first, again)]
    for side in SIDES:
        knees = [of.qpos[:, 7 + of.joint_names.index(f"{side}_knee_{axis}")]
                 for of, axis in ((first, "flexion"), (again, "pitch"))]  # fmt: skip
        assert np.corrcoef(np.interp(times[1], times[0], knees[0]), knees[1])[0, 1] > 0.9


def test_what_cannot_be_retargeted_is_not_proposed(run, tmp_path: Path) -> None:
    odd = walker_bvh(tmp_path / "odd.bvh", seconds=1.0, leg_names=("A", "B", "C", "D"))
    text = odd.read_text()
    odd.write_text(text.replace("OFFSET 0 -42.0 0", "OFFSET 0 -4.2 0"))  # no legs by their shape, either
    code, text, _ = run("inspect", odd)
    assert code == 0
    assert "note     no joint found for left_hip" in text
    assert "--map" in text
    assert "next" not in text
