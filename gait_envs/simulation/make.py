"""The simulation backend that a configuration asks for."""

from __future__ import annotations

from dataclasses import dataclass

from gait_envs.assets import asset_path
from gait_envs.control.muscle_network import load_muscle_network
from gait_envs.models.robot import Robot
from gait_envs.simulation.base import Simulation
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.simulation.muscles import MuscleSimulation

MUSCLE_NETWORK = "policies/muscle_humanoid_imitation/muscle_nn.npz"  # among the assets


@dataclass(frozen=True)
class Drive:
    """What moves a body with muscles; one without has servos, whatever this says."""

    controller: str = "qp"  # from a desired torque to activations: "qp" or "nn"; "direct" takes activations
    network: str | None = None  # of "nn": file of its weights; None: the bundled one


def make_simulation(robot: Robot, n: int, threads: int, drive: Drive) -> Simulation:
    """n simulations of the robot on `threads` threads (0: every processor)."""
    if robot.muscles is None:
        return BatchSimulation(robot, n, threads)
    if drive.controller != "nn":
        return MuscleSimulation(robot, n, threads, controller=drive.controller)
    network = load_muscle_network(drive.network or asset_path(MUSCLE_NETWORK), robot.muscles)
    return MuscleSimulation(robot, n, threads, controller="nn", network=network)
