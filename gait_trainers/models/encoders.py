"""Pre-trained motion models as feature extractors of policies, for any algorithm of Stable-Baselines3.

    observation (n, d) ── by names ──> encoder inputs ── own normaliser ──> network ──> features
                       └────────────── the observation itself, or what the encoder does not see ──> features

A policy has no root position, heading or height to show, so the model must be one of the encoding `observable`, whose
rows are named as an observation's are. Stacked observations (`VecFrameStack`) become the model's history.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from pydantic import Field
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from gait_envs.errors import GaitNetError, one_line
from gait_envs.layout import Layout
from gait_trainers.config.checking import checked
from gait_trainers.config.section import ConfigError, Section
from gait_trainers.models.motion import ModelSpec, MotionModel, load_motion_model
from gait_trainers.models.motion.model import CLIP
from gait_trainers.models.sizes import MAX_PARAMETERS

OF_JOINTS = ("joint_position", "joint_velocity")  # rows with a number for each joint, in the order of the joints
MAX_OBSERVATION = 1 << 16


class EncoderError(GaitNetError, ValueError):
    """A model that cannot encode these observations; says which rows or joints do not fit."""


class EncoderPlan(Section):
    """What an extractor is built from, before its weights: plain values, kept in checkpoints."""

    spec: ModelSpec
    columns: list[Annotated[int, Field(ge=0, lt=MAX_OBSERVATION)]]  # where each input lies in an observation
    frame: Annotated[int, Field(ge=1, le=MAX_OBSERVATION)]  # numbers in one observation
    observation: Literal["all", "rest"] = "all"  # what of the observation is passed on beside the encoder's features
    normalized: bool = False  # whether the observed inputs are in deviations from the model's own mean already


def input_columns(model: MotionModel, layout: Layout, joint_names: Sequence[str]) -> list[int]:
    """Where each input of a model lies in an observation, by the names of rows and joints.

    EncoderError where a row is not observed, or is in another unit or frame, or a joint is not the body's.
    """
    places, rows = layout.slices(), {row.name: row for row in layout}
    ours, theirs = list(model.spec.joint_names), list(joint_names)
    if sorted(ours) != sorted(theirs):
        odd = sorted(set(ours) ^ set(theirs))
        raise EncoderError(f"the model's joints and the body's differ: {one_line(', '.join(odd))}")
    columns: list[int] = []
    for entry in model.entries:
        row = rows.get(entry.name)
        if row is None:
            raise EncoderError(
                f"the model's input {entry.name} is not observed; observed are {', '.join(rows)}. Encoders of policies "
                f"are models of the encoding observable, without conditions"
            )
        if row[:4] != entry[:4]:
            raise EncoderError(
                f"{entry.name} is observed as {row.size} numbers ({row.unit}; {row.description}), "
                f"the model's input has {entry.size} ({entry.unit}; {entry.description})"
            )
        order = [theirs.index(name) for name in ours] if entry.name in OF_JOINTS else range(entry.size)
        columns += [places[entry.name].start + i for i in order]
    return columns


class PretrainedMotionExtractor(BaseFeaturesExtractor):
    """The features of a motion model beside the observation; frozen until something unfreezes it.

    Observations (n, k · frame) of k stacked frames, the last one newest, to features (n, features_dim).
    """

    mean: Tensor
    std: Tensor
    columns: Tensor
    passed: Tensor

    def __init__(
        self,
        observation_space: spaces.Box,
        encoder: str | os.PathLike[str] | MotionModel | EncoderPlan,
        layout: Layout | None = None,
        joint_names: Sequence[str] = (),
        observation: Literal["all", "rest"] = "all",
        rate: float = 0.1,
        normalized: bool = False,
    ) -> None:
        """encoder: a model, its file, folder or bundled name; or a plan, whose weights come from a checkpoint.
        layout, joint_names: of one observed frame and of the body. rate: of the encoder's step size, once it learns,
        in that of the rest; it needs the optimiser `GroupedAdam`."""
        if isinstance(encoder, EncoderPlan):
            self.plan, model = encoder, MotionModel(encoder.spec)
        else:
            model = encoder if isinstance(encoder, MotionModel) else load_motion_model(encoder)
            if layout is None:
                raise EncoderError("layout is missing: the table of the observation, such as task.layout")
            self.plan = EncoderPlan(
                spec=model.spec,
                columns=input_columns(model, layout, joint_names),
                frame=layout.size,
                observation=observation,
                normalized=normalized,
            )
        columns, frame = self.plan.columns, self.plan.frame
        if len(columns) != model.entries.size or len(set(columns)) < len(columns) or max(columns) >= frame:
            raise EncoderError(f"{len(columns)} columns of {frame} are not {model.entries.size} different ones of them")
        (size,) = observation_space.shape
        if size % frame:
            raise EncoderError(f"observations have {size} numbers, which is no multiple of the layout's {frame}")
        passed = range(frame) if self.plan.observation == "all" else sorted(set(range(frame)) - set(columns))
        super().__init__(observation_space, model.feature_size + len(passed))
        # A copy: several policies, or actor and critics, may be made of one model.
        self.network = copy.deepcopy(model.network).eval()
        self.register_buffer("mean", model.mean.detach().clone())
        self.register_buffer("std", model.std.detach().clone())
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        self.register_buffer("passed", torch.tensor([*passed], dtype=torch.int64), persistent=False)
        for parameter in self.network.parameters():
            parameter.rate = rate  # type: ignore[attr-defined] # read by GroupedAdam
        self.unfreeze(0)

    def forward(self, observations: Tensor) -> Tensor:
        # Operators that an exported policy may hold, whose sizes are known before it runs.
        size, frame = observations.shape[-1], self.plan.frame
        frames = [observations[:, at : at + frame] for at in range(0, size, frame)]  # k of (n, frame)
        inputs = torch.stack([frame.index_select(-1, self.columns) for frame in frames], dim=1)  # (n, k, entries)
        if not self.plan.normalized:
            inputs = ((inputs - self.mean) / self.std).clamp(-CLIP, CLIP)
        features, _ = self.network(inputs)
        passed = frames[-1]
        if self.plan.observation == "rest":
            passed = passed.index_select(-1, self.passed)
        return torch.cat([features[:, -1], passed], dim=-1)

    def parts(self) -> list[nn.Module]:
        """The layers of the encoder that have weights, from the input to the output."""
        return [module for module in self.network.modules() if [*module.parameters(recurse=False)]]

    def unfreeze(self, count: int) -> None:
        """Let the last `count` of `parts` learn, and no other."""
        parts = self.parts()
        for i, part in enumerate(parts):
            for parameter in part.parameters(recurse=False):
                parameter.requires_grad_(i >= len(parts) - count)

    def apply(self, fn: Any) -> PretrainedMotionExtractor:
        """Nothing: SB3's policies apply a fresh initialisation to their feature extractors."""
        return self

    def train(self, mode: bool = True) -> PretrainedMotionExtractor:
        """Without dropout in either mode: PPO compares an action's probability with that of the rollout."""
        super().train(mode)
        self.network.eval()
        return self


def with_fresh_weights(model: MotionModel) -> MotionModel:
    """The model as before it was trained, with the trained normaliser: what a comparison needs as its baseline."""
    fresh = MotionModel(model.spec)
    fresh.mean.copy_(model.mean)
    fresh.std.copy_(model.std)
    return fresh.eval()


def observed_by(env: Any) -> dict[str, Any]:
    """Layout and joint names of one of our environments, scalar or vector, or of a vectorised one of SB3."""
    while hasattr(env, "venv"):
        env = env.venv
    if hasattr(env, "env_method"):  # one of SB3's: ours has the environments in one, others have one each
        env = env.env if hasattr(env, "env") else env.get_attr("unwrapped", 0)[0]
    task = env.unwrapped.core.task
    return {"layout": task.layout, "joint_names": task.robot.joint_names}


def read_plan(values: Any) -> EncoderPlan:
    """A plan that a checkpoint holds; EncoderError names what is not allowed."""
    try:
        return checked(EncoderPlan, values, "encoder")
    except ConfigError as error:
        raise EncoderError(str(error)) from None


def planned_sizes(plan: EncoderPlan) -> tuple[int, int]:
    """Size of the features, and numbers among weights and buffers, of a plan's extractor; allocates nothing."""
    with torch.device("meta"):
        model = MotionModel(plan.spec)
    count = sum(value.numel() for value in model.network.state_dict().values()) + 2 * model.entries.size
    if count > MAX_PARAMETERS:
        raise EncoderError(f"{count} parameters, at most {MAX_PARAMETERS} are read")
    passed = plan.frame if plan.observation == "all" else plan.frame - len(plan.columns)
    return model.feature_size + passed, count


class EncoderMeanStd(RunningMeanStd):
    """Running statistics of observations in which an encoder's inputs keep those of its own normaliser."""

    def __init__(self, extractor: PretrainedMotionExtractor, size: int, epsilon: float) -> None:
        super().__init__(shape=(size,))
        frames = size // extractor.plan.frame
        self.pinned = np.concatenate(
            [np.array(extractor.plan.columns) + k * extractor.plan.frame for k in range(frames)]
        )
        self.own = (
            np.tile(extractor.mean.cpu().numpy().astype(float), frames),
            np.tile(extractor.std.cpu().numpy().astype(float) ** 2 - epsilon, frames),
        )
        self.pin()

    def pin(self) -> None:
        """Give the encoder's inputs their own mean and variance again."""
        self.mean[self.pinned], self.var[self.pinned] = self.own

    def update(self, arr: np.ndarray) -> None:
        """Update the statistics of the other numbers with rows (n, size)."""
        super().update(arr)
        self.pin()


class GroupedAdam(torch.optim.Adam):
    """Adam with a group for each step size: a parameter's `rate` times that of the algorithm, 1 if it has none.

    SB3 sets one step size for all groups before each update, so the rates are applied within a step.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3, eps: float = 1e-5, **kwargs: Any) -> None:
        groups: dict[float, list[Tensor]] = {}
        for parameter in params:
            groups.setdefault(float(getattr(parameter, "rate", 1.0)), []).append(parameter)
        super().__init__(
            [{"params": members, "rate": rate} for rate, members in groups.items()], lr=lr, eps=eps, **kwargs
        )

    def step(self, closure: Any = None) -> Any:
        """One update, each group at its own step size."""
        rates = [group["lr"] for group in self.param_groups]
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate * group["rate"]
        try:
            return super().step(closure)
        finally:
            for group, rate in zip(self.param_groups, rates, strict=True):
                group["lr"] = rate
