"""A person's walk on the humanoid as a looping clip: published joint angles, changed as little as lets the feet stand.

Averages of many people's angles, put on one body of other proportions, make its feet slide and sink. `WalkFit` seeks
the nearest walk that does neither and whose weight the soles carry. Left and right are one series, half a cycle apart;
the seam of the loop is like any frame.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gait_envs.biomechanics.clinical_angles import LEG, wanted_angles
from gait_envs.biomechanics.published_gait import figures_at
from gait_envs.mocap.quality import Load, carry, faults, measure
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.reference.clip import Clip
from gait_envs.synthesis.walk_optimizer import FINE, WalkFit, periodic_rates

SOURCE = "GaitNet walk, fitted to figures of Schwartz, Rozumalski & Trost 2008"
SPEEDS = (0.6, 0.8, 1.0, 1.2, 1.4, 1.6)  # m/s, of the embedded clips


def human_walk(body: Body, speed: float, fps: float = 30.0) -> Clip:
    """One cycle of a walk at `speed` m/s, the right heel landing in the first frame and, one stride on, in the last.

    A `ClipError` says which speeds the published figures are of.
    """
    fit = WalkFit(body, speed, fps).solve()
    cycle = fit.qpos()[::FINE]
    cycle[:, 0] -= cycle[0, 0]
    ahead = np.zeros(cycle.shape[1])
    ahead[0] = fit.stride
    rates, _ = periodic_rates(cycle, fit.stride, fps)
    phase = np.arange(fit.frames) / fit.frames
    contact = np.concatenate([fit.stance.soles(phase + 0.5), fit.stance.soles(phase)], axis=1)
    # Three cycles, whose middle one has no ends.
    thrice = np.concatenate([cycle - ahead, cycle, cycle + ahead])
    middle = slice(fit.frames, 2 * fit.frames + 1)
    whole = carry(thrice, fps, np.tile(contact, (3, 1)), body)
    load = Load(*(getattr(whole, part.name)[middle] for part in dataclasses.fields(Load)))
    qpos, contact = thrice[middle], np.concatenate([contact, contact[:1]])
    quality = measure(qpos, fps, contact, load, body)
    return Clip(
        qpos=qpos,
        qvel=np.concatenate([rates, rates[:1]]),
        fps=fps,
        joint_names=body.joint_names,
        loop=True,
        model=body.name,
        source=SOURCE,
        license="MIT",
        name=f"walk_{round(100 * speed):03d}",
        contacts=load.contact_force,
        torque=load.torque,
        meta={
            "activity": "walk",
            "speed": speed,
            "cycle": fit.cycle,
            "foot_off": fit.stance.foot_off,
            "contacts": "estimated by inverse dynamics",
            "quality": quality,
            "faults": faults(quality, body),
        },
    )


def angle_errors(clip: Clip, body: Body) -> dict[str, float]:
    """Root mean square difference (rad) of each joint of the right leg from the published angles."""
    phase = np.arange(clip.frames - 1) / (clip.frames - 1)
    wanted = wanted_angles(figures_at(clip.meta["speed"], float(body.home[2])), phase)
    found = {name: clip.qpos[:-1, 7 + clip.joint_names.index(f"right_{name}")] for name in LEG}
    return {name: float(np.sqrt(np.mean((found[name] - wanted[name]) ** 2))) for name in LEG}
