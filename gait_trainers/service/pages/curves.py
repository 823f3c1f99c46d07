"""Which curves are drawn together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """A plot: its title, the metrics in it, and what each is called there."""

    title: str
    names: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        """The first metric, for plots that show one."""
        return self.names[0]


# Titles with the metrics that a plot shows, in order; a name that ends in * stands for all that begin like it.
PANELS = {
    "Success": {"is_success_rate": "follows its command", "success_rate": "stays up"},
    "Forward speed, m/s": {"forward_velocity": "reached", "command": "commanded"},
    "Style reward": {"amp_reward": "style"},
    "Reward terms": {"reward_*": ""},
    "Reward of an episode": {"episode_reward": "reward"},
    "Length of an episode, steps": {"episode_length": "length"},
    "Errors of tracking": {
        "speed_error": "speed, m/s",
        "lateral_error": "sideways, m/s",
        "yaw_rate_error": "turn, rad/s",
    },
    "Distance from the motion, mm": {"mpjpe_global": "in the world", "mpjpe_root": "about the root"},
    "Losses of the policy": {"policy_gradient_loss": "policy", "entropy_loss": "entropy"},
    "Loss of the value network": {"value_loss": "value"},
    "Step of an update": {"approx_kl": "KL divergence", "clip_fraction": "share clipped"},
    "Discriminator accuracy": {"disc_acc": "clean windows", "disc_acc_noisy": "noisy windows"},
    "Discriminator score": {"disc_real_mean": "reference", "disc_fake_mean": "policy"},
    "Losses of the discriminator": {"disc_loss": "loss", "disc_grad_penalty": "gradient penalty"},
    "Muscles": {"muscle_residual": "network", "qp_residual": "static optimisation", "muscle_loss": "loss"},
    "Exploration, std of the actions": {"std": "std"},
    "Loss": {"loss": "training", "held_out_loss": "held out"},
    "Errors of prediction, mean squares": {"position": "coordinates", "velocity": "rates"},
    "Length of the rollouts, frames": {"horizon": "length"},
    "Frames per second": {"frames_per_second": "frames/s"},
    "Steps per second": {"steps_per_second": "steps/s"},
    "Seconds of an iteration": {"physics_seconds": "physics", "policy_seconds": "policy", "update_seconds": "update"},
    "Cores in use": {"cpu_cores": "cores"},
    "Memory, MB": {"memory_mb": "memory", "gpu_memory_mb": "GPU memory"},
}
COMPARED = ("is_success_rate", "success_rate", "forward_velocity", "episode_reward", "amp_reward", "held_out_loss",
            "steps_per_second")  # fmt: skip


def panels(names: Iterable[str]) -> list[Panel]:
    """The plots of a session that has these metrics; those without a curve are left out."""
    known = list(names)
    found = []
    for title, wanted in PANELS.items():
        shown: dict[str, str] = {}
        for name, label in wanted.items():
            if name.endswith("*"):
                begin = name[:-1]
                shown |= {key: key.removeprefix(begin).replace("_", " ") for key in known if key.startswith(begin)}
            elif name in known:
                shown[name] = label
        if shown:
            found.append(Panel(title, tuple(shown), tuple(shown.values())))
    return found


def compared(names: Iterable[str]) -> list[Panel]:
    """Plots in which each curve is a session."""
    titles = {name: title for title, wanted in PANELS.items() for name in wanted}
    titles |= {"is_success_rate": "Success", "success_rate": "Episodes without a fall"}
    known = set(names)
    return [Panel(titles[name], (name,), (name,)) for name in COMPARED if name in known]
