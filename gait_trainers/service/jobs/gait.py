"""The gait page of a policy that has been trained: a picture, and the figures in it.

Of a human body it is the page of `gait-train gait`, against normative data; of any other body the mean cycle of each
joint, against the reference that it was to imitate.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gait_envs.files import write_durably
from gait_trainers.evaluation.clinical import figures, walk
from gait_trainers.evaluation.cycles import SECONDS, joint_cycles
from gait_trainers.evaluation.tracking import open_reference
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, follows_clips, make_env

PICTURE, FIGURES = "gait.png", "gait.json"
TITLE = "The policy"  # rather than the id of its run
ADULT = "1.2"  # m/s, what a human body is told that obeys commands


def write_gait(policy: Policy, results: Path) -> None:
    """Write the picture and the figures; a GaitNetError says why there is no gait: it fell, or took no step."""
    for name in (PICTURE, FIGURES):
        (results / name).unlink(missing_ok=True)  # of an earlier policy
    found = (_of_human if _body(policy) == "humanoid" else _of_robot)(policy, results / PICTURE)
    write_durably(results / FIGURES, json.dumps(found, allow_nan=False).encode())


def _of_human(policy: Policy, picture: Path) -> dict[str, Any]:
    from gait_trainers.reports.gait_page import draw_page  # matplotlib

    place = ADULT
    if follows_clips(policy.env_id):
        library = open_reference(policy).task.library
        assert library is not None
        place = library.names[0]
    (walked,) = walk(policy, [place], seconds=SECONDS, threads=1)
    draw_page([("it walks", walked)], TITLE, picture)
    against = walked.remark or "published curves of people who walk at this speed"
    return {"against": against} | figures(walked)


def _of_robot(policy: Policy, picture: Path) -> dict[str, Any]:
    from gait_trainers.reports.gait_page import draw_cycles

    walked = joint_cycles(policy, threads=1)
    draw_cycles(walked, TITLE, picture)
    against = "nothing: the reference has no such walk" if walked.theirs is None else "the reference at this speed"
    return {"against": against} | walked.figures()


def _body(policy: Policy) -> str:
    """The name of the policy's robot."""
    if follows_clips(policy.env_id):
        return open_reference(policy).task.robot.name
    env = make_env(policy.env_id, threads=1, **deployment_kwargs(policy.env_kwargs))
    env.close()
    return str(env.core.robot.name)
