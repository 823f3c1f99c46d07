"""What every part of the configuration is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gait_envs.errors import GaitNetError


class ConfigError(GaitNetError, ValueError):
    """A configuration that cannot be used: says which file, which key, and what is allowed."""


class Section(BaseModel):
    """A mapping of settings; an unknown key is an error, as are numbers that are not finite, and defaults are validated
    too."""

    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)


Sizes = list[Annotated[int, Field(ge=1)]]  # of hidden layers
