"""Standard Gymnasium environments in which characters and robots walk like living things."""

from gait_envs.registry import IDS, register_all, register_environment

__all__ = ["IDS", "__version__", "register_environment"]
__version__ = "0.1.0"

register_all()
