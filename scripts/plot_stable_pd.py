"""Draw docs/images/stable_pd.png: explicit and stable PD with the same gains and steps, simulated by MuJoCo.

    python scripts/plot_stable_pd.py [--out FILE]

Left: a hanging arm of three links (0.3, 0.3 and 0.2 m) is commanded to hold a pose. Right: which gains one joint bears.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mujoco
import numpy as np
from mujoco.batch import Batch

from gait_envs.cli import run_script
from gait_envs.control.stable_pd import StablePD, pd_force, stable_pd

KP, KD = 300.0, 600**0.5  # N·m/rad and N·m·s/rad
TARGET = np.array([[0.5, -0.4, 0.3]])  # rad
STEPS = (1 / 10000, 1 / 2000, 1 / 480, 1 / 30)  # s
SECONDS = 1.0
RUNAWAY = 1e3  # rad/s: exploded
EXPLICIT, STABLE = "#c8553d", "#2f6f9f"
ARM = """
<mujoco>
  <option timestep="{timestep}"/>
  <worldbody>
    <body pos="0 0 2"><joint name="a" axis="0 1 0"/><geom type="capsule" size=".03" fromto="0 0 0 .3 0 0" mass="1"/>
      <body pos=".3 0 0"><joint name="b" axis="0 0 1"/>
        <geom type="capsule" size=".03" fromto="0 0 0 .3 0 0" mass=".7"/>
        <body pos=".3 0 0"><joint name="c" axis="0 1 0"/>
          <geom type="capsule" size=".03" fromto="0 0 0 .2 0 0" mass=".2"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="a"/><motor joint="b"/><motor joint="c"/></actuator>
</mujoco>"""


def hold(timestep: float, *, stable: bool) -> tuple[np.ndarray, np.ndarray]:
    """Times (T,) s and angles of the last joint (T,) rad, until a second has passed or it has exploded."""
    model = mujoco.MjModel.from_xml_string(ARM.format(timestep=timestep))
    gains = np.full(model.nv, KP), np.full(model.nv, KD)
    law, batch = StablePD(model, *gains), Batch(model, 1, 1)
    mass, bias = batch.bind("M"), batch.bind("qfrc_bias")
    batch.reset()
    angles = [0.0]
    while len(angles) * timestep <= SECONDS and np.abs(batch.qvel).max() < RUNAWAY:
        if stable:
            batch.ctrl[:] = law.torque(TARGET, batch.qpos, batch.qvel, mass, -bias)
        else:
            batch.ctrl[:] = pd_force(TARGET - batch.qpos, batch.qvel, *gains, dt=0.0)
        batch.step(stage=mujoco.mjtStage.mjSTAGE_VEL)
        angles.append(float(batch.qpos[0, 2]))
    return np.arange(len(angles)) * timestep, np.array(angles)


def growth(spring: np.ndarray, damping: np.ndarray, *, stable: bool) -> np.ndarray:
    """Greatest factor by which a step multiplies the state of one joint; unit inertia and step, gains (k,)."""
    grown = []
    for kp, kd in zip(spring, damping, strict=True):
        angle, velocity = np.eye(2)[:, :1], np.eye(2)[:, 1:]
        if stable:
            mass, rest = np.ones((2, 1, 1)), np.zeros((2, 1))
            force = stable_pd(mass, rest, -angle, velocity, np.array([kp]), np.array([kd]), 1.0)
        else:
            force = pd_force(-angle, velocity, kp, kd, 0.0)
        after = velocity + force
        grown.append(np.abs(np.linalg.eigvals(np.hstack([angle + after, after]))).max())
    return np.array(grown)


def draw(out: Path) -> None:
    figure = plt.figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
    panels = left.subplots(2, 2, sharex=True, sharey=True)
    for panel, timestep in zip(panels.flat, STEPS, strict=True):
        for stable, colour, name in ((False, EXPLICIT, "explicit"), (True, STABLE, "stable")):
            time, angle = hold(timestep, stable=stable)
            panel.plot(
                time,
                angle,
                color=colour,
                lw=1.6 if stable else 4.0,
                alpha=1.0 if stable else 0.6,
                label=name,
                zorder=2 + stable,
            )
            if time[-1] < 0.9 * SECONDS:
                panel.plot(time[-1], np.clip(angle[-1], -0.55, 0.95), "x", color=colour, ms=8, mew=2, clip_on=False)
                steps = len(time) - 1
                panel.text(
                    0.05, -0.45, f"explicit explodes in {steps} step{'s' * (steps > 1)}", color=colour, fontsize=9
                )
        panel.axhline(TARGET[0, 2], color="0.6", lw=0.8, ls=":")
        panel.set(ylim=(-0.6, 1.0), xlim=(0, SECONDS), title=f"step 1/{round(1 / timestep)} s")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0, 0].legend(frameon=False, loc="upper right")
    left.supxlabel("time, s", fontsize=10)
    left.supylabel("angle of the last joint, rad  (× exploded)", fontsize=10)

    axes = right.subplots()
    damping, spring = np.meshgrid(np.linspace(0.02, 12, 110), np.linspace(0.02, 9, 90))
    for stable, colour, name in ((True, STABLE, "stable PD"), (False, EXPLICIT, "explicit PD")):
        grown = growth(spring.ravel(), damping.ravel(), stable=stable).reshape(spring.shape)
        axes.contourf(damping, spring, grown, levels=[0, 1], colors=[colour], alpha=0.25 if stable else 0.6)
        axes.text(*((6.5, 2.2) if stable else (0.3, 4.0)), name, color=colour, fontsize=10, weight="bold")
    edge = np.linspace(0, 12, 50)
    axes.plot(edge, (4 + 2 * edge) / 3, color=STABLE, lw=1.5)
    axes.text(5.2, 5.7, "3 h²kp = 4 I + 2 h kd", color=STABLE, rotation=38, fontsize=9)
    axes.set(xlim=(0, 12), ylim=(0, 9), xlabel="h kd / I", ylabel="h² kp / I")
    axes.set_title("gains that one joint of inertia I bears")
    axes.spines[["top", "right"]].set_visible(False)
    # The file appears whole or not at all.
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        draft = Path(folder) / out.name
        figure.savefig(draft, dpi=130)
        os.replace(draft, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/stable_pd.png"))
    draw(parser.parse_args().out)


if __name__ == "__main__":
    run_script(main)
