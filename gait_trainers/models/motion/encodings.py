"""How a motion model sees a state: what is read of it, by name, and in which frame it answers.

    qpos        the state itself: coordinates and rates, in the world
    sixdof      the same with the orientation of the root, and of every ball joint, as the first two rows of its matrix
    heading     what does not change where the body moves over the floor or turns about the vertical
    observable  `heading` without the height: what a policy observes of its body, in the rows and units of its
                observation (`joint_position`, `joint_velocity`, `linear_velocity`, `angular_velocity`, `gravity`)

Torch functions without weights, in float32: they are part of rollouts that gradients flow through.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gait_envs.layout import Layout, Row
from gait_trainers.data.motion_state import YAW, Z

ENCODINGS = ("qpos", "sixdof", "heading", "observable")
WORLD = ("qpos", "sixdof")  # those that answer in the world's axes


class Encoding(nn.Module):
    """States (..., 2 (6 + J)) to features (..., size), whose names and units are `rows`."""

    home: Tensor
    scale: Tensor
    axes: Tensor

    def __init__(
        self,
        name: str,
        joint_names: Sequence[str],
        home: Sequence[float],
        scale: Sequence[float],
        axes: Sequence[Sequence[float]],
        balls: Sequence[int] = (),
    ) -> None:
        """home, scale: (J,) rad, what a policy's `joint_position` is counted from, and in; axes: (J, 3) of the hinges
        in their bodies; balls: the first joint of each three that share a body, one after the other."""
        super().__init__()
        if name not in ENCODINGS:
            raise ValueError(f"unknown encoding {name!r}; known are {', '.join(ENCODINGS)}")
        self.name, self.joint_names, self.balls = name, tuple(joint_names), tuple(balls)
        for key, value in (("home", home), ("scale", scale), ("axes", axes)):
            self.register_buffer(key, torch.tensor(value, dtype=torch.float32), persistent=False)
        in_balls = {first + i for first in balls for i in range(3)}
        self.hinges = [i for i in range(len(self.joint_names)) if i not in in_balls]
        self.rows = self._rows()

    @property
    def in_world(self) -> bool:
        """Whether horizontal velocities of the answer are in the world's axes, not in those of the heading."""
        return self.name in WORLD

    def _rows(self) -> Layout:
        joints = len(self.joint_names)
        rates = (
            Row("root_velocity", 3, "m/s", "of the root, world frame"),
            Row("root_angle_rate", 3, "rad/s", "of yaw, pitch and roll"),
            Row("joint_velocity", joints, "rad/s", "all joints"),
        )
        place = Row("root_position", 3, "m", "x, y and height of the root")
        if self.name == "qpos":
            angles = Row("root_angle", 3, "rad", "yaw, pitch and roll")
            return Layout((place, angles, Row("joint_angle", joints, "rad", "all joints"), *rates))
        if self.name == "sixdof":
            turns = Row("root_rotation", 6, "1", "first two rows of the root's rotation matrix")
            balls = Row("ball_rotation", 6 * len(self.balls), "1", "first two rows of each ball joint's matrix")
            return Layout((place, turns, balls, Row("hinge_angle", len(self.hinges), "rad", "other joints"), *rates))
        height = (Row("height", 1, "m", "of the root above the floor"),) if self.name == "heading" else ()
        return Layout((
            Row("joint_position", joints, "1", "(q - home) / half range, all servos"),
            Row("joint_velocity", joints, "rad/s", "all servos"),
            Row("linear_velocity", 3, "m/s", "of the root, heading frame"),
            Row("angular_velocity", 3, "rad/s", "gyroscope, body frame"),
            Row("gravity", 3, "1", "direction of gravity, body frame"),
            *height,
        ))  # fmt: skip

    def forward(self, state: Tensor) -> Tensor:
        # One split and three unbinds: in rollouts, the backward pass of every slice would fill a tensor with zeros.
        if self.name == "qpos":
            return state
        joints = len(self.joint_names)
        root, angle, root_rate, rate = state.split([6, joints, 6, joints], -1)
        if self.name == "sixdof":
            return self._sixdof(root, angle, torch.cat([root_rate, rate], -1))
        (_, sy, sp, sr), (_, cy, cp, cr) = root[..., Z:].sin().unbind(-1), root[..., Z:].cos().unbind(-1)
        vx, vy, vz, yaw, pitch, roll = root_rate.unbind(-1)
        turn = yaw * cp
        seen = [
            cy * vx + sy * vy, cy * vy - sy * vx, vz,
            roll - yaw * sp, pitch * cr + turn * sr, turn * cr - pitch * sr,
            sp, -cp * sr, -cp * cr,
        ]  # fmt: skip
        if self.name == "heading":
            seen.append(root[..., Z])
        return torch.cat([(angle - self.home) / self.scale, rate, torch.stack(seen, -1)], -1)

    def _sixdof(self, place: Tensor, joints: Tensor, rate: Tensor) -> Tensor:
        yaw, pitch, roll = place[..., YAW:].unbind(-1)
        sy, cy, sp, cp, sr, cr = yaw.sin(), yaw.cos(), pitch.sin(), pitch.cos(), roll.sin(), roll.cos()
        root = [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr]  # first row of Rz(yaw) Ry(pitch) Rx(roll)
        root += [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr]  # second row
        parts = [place[..., :3], torch.stack(root, -1)]
        if self.balls:
            columns = [first + i for first in self.balls for i in range(3)]
            turns = _about(self.axes[columns], joints[..., columns])  # (..., 3 balls, 3, 3)
            first, second, third = turns.unflatten(-3, (len(self.balls), 3)).unbind(-3)
            parts.append((first @ second @ third)[..., :2, :].flatten(-3))
        return torch.cat([*parts, joints[..., self.hinges], rate], -1)

    def to_world(self, change: Tensor, state: Tensor) -> Tensor:
        """A change of the rates (..., 6 + J) as the model gives it, in the axes of the state's rates."""
        return change if self.in_world else _turned(change, state[..., YAW])

    def from_world(self, change: Tensor, state: Tensor) -> Tensor:
        """The inverse of `to_world`."""
        return change if self.in_world else _turned(change, -state[..., YAW])


def _turned(change: Tensor, yaw: Tensor) -> Tensor:
    """Rates (..., 6 + J) whose first two numbers are turned by yaw (...)."""
    sin, cos = yaw.sin(), yaw.cos()
    x, y, rest = change.split([1, 1, change.shape[-1] - 2], -1)
    sin, cos = sin[..., None], cos[..., None]
    return torch.cat([cos * x - sin * y, sin * x + cos * y, rest], -1)


def _about(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation matrices (..., k, 3, 3) by angles (..., k) about unit axes (k, 3): Rodrigues' formula."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    sin, cos = angle.sin()[..., None, None], angle.cos()[..., None, None]
    return torch.eye(3, dtype=angle.dtype, device=angle.device) + sin * cross + (1 - cos) * (cross @ cross)
