"""Standard Gymnasium environments in which humanoids and robots learn natural walking."""

from gait_envs.registry import IDS, register_all, register_environment
from gait_envs.version import __version__

__all__ = ["IDS", "__version__", "register_environment"]

register_all()
