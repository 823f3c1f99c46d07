"""What a motion model is built from, before its weights: plain values with bounds, stored as JSON beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gait_envs.models.robot import Robot
from gait_trainers.config.motion_network import NetworkSettings
from gait_trainers.config.section import Section

Name = Annotated[str, Field(min_length=1, max_length=80)]
Number = Annotated[float, Field(ge=-1e3, le=1e3, allow_inf_nan=False)]
MAX_JOINTS = 256


class ModelSpec(Section):
    """A motion model without its weights."""

    network: Literal["mlp", "gru", "lstm", "transformer", "transformer_reg", "mixture"]
    encoding: Literal["qpos", "sixdof", "heading", "observable"]
    conditions: list[Literal["path", "speed", "phase"]] = Field(default=[], max_length=3)
    settings: NetworkSettings = NetworkSettings()
    robot: Name
    fps: float = Field(gt=0, le=1e4, allow_inf_nan=False)  # Hz
    joint_names: list[Name] = Field(min_length=1, max_length=MAX_JOINTS)
    home: list[Number]  # (J,) rad
    half_range: list[Annotated[Number, Field(gt=0)]]  # (J,) rad, the unit of a policy's joint_position
    axes: list[Annotated[list[Number], Field(min_length=3, max_length=3)]]  # (J, 3) unit vectors, in the bodies
    balls: list[Annotated[int, Field(ge=0)]] = Field(default=[])  # first of each three joints that share a body

    @model_validator(mode="after")
    def _fits_together(self) -> ModelSpec:
        joints = len(self.joint_names)
        for key in ("home", "half_range", "axes"):
            if len(getattr(self, key)) != joints:
                raise ValueError(f"{key} has {len(getattr(self, key))} entries for {joints} joints")
        if len(set(self.joint_names)) < joints or len(set(self.conditions)) < len(self.conditions):
            raise ValueError("a joint or a condition is named twice")
        ends = [*self.balls, joints][1:]
        if any(end - first < 3 for first, end in zip(self.balls, ends, strict=False)):
            raise ValueError(f"balls {self.balls} do not lie apart, three joints each, among {joints} joints")
        if self.network.startswith("transformer") and self.settings.width % (2 * self.settings.heads):
            raise ValueError(f"settings.width is no multiple of twice the {self.settings.heads} heads")
        return self


def spec_of(
    robot: Robot,
    network: str,
    encoding: str,
    conditions: Sequence[str] = (),
    settings: NetworkSettings | Mapping[str, Any] | None = None,
) -> ModelSpec:
    """The spec of a model for a robot; pydantic's ValidationError for what is not allowed."""
    body = robot.model.jnt_bodyid[1:].tolist()
    values = {
        "network": network,
        "encoding": encoding,
        "conditions": list(conditions),
        "settings": settings or {},
        "robot": robot.name,
        "fps": robot.control_rate,
        "joint_names": list(robot.joint_names),
        "home": robot.home.tolist(),
        "half_range": robot.half_range.tolist(),
        "axes": robot.model.jnt_axis[1:].tolist(),
        "balls": [i for i in range(len(body)) if body.count(body[i]) == 3 and body.index(body[i]) == i],
    }
    return ModelSpec.model_validate(values)
