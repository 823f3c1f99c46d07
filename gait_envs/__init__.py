"""Standard Gymnasium environments in which humanoids and robots learn natural walking."""

from gait_envs.constants import __version__
from gait_envs.registry import IDS, register_all, register_environment

__all__ = ["IDS", "__version__", "register_environment"]

register_all()
