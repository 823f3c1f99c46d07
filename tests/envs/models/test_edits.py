"""Edits of a model, found and made again."""

from __future__ import annotations

import numpy as np

from gait_envs.models.edits import edits, make_edits
from gait_envs.models.robot import wildrobot


def test_edits_of_every_kind_are_found_and_made_again() -> None:
    original, edited, other = (wildrobot().copy().model for _ in range(3))
    assert edits(edited, original) == {}
    edited.body_mass[1] *= 2
    edited.geom_friction[0] = 0.5
    edited.opt.gravity[2] = -1.6
    edited.opt.timestep = 0.001
    edited.opt.disableflags |= 16
    edited.vis.global_.offwidth = 900
    edited.vis.headlight.ambient[:] = 0.5
    edited.stat.extent = 7.0
    found = edits(edited, original)
    assert set(found) == {
        *("body_mass", "geom_friction", "opt.gravity", "opt.timestep", "opt.disableflags", "stat.extent"),
        *("vis.global_.offwidth", "vis.headlight.ambient"),
    }
    edited.body_mass[1] = 0.0  # what was found is a copy
    make_edits(other, found)
    assert other.body_mass[1] == 2 * original.body_mass[1]
    assert np.array_equal(other.opt.gravity, [0, 0, -1.6])
    assert (other.opt.timestep, other.vis.global_.offwidth) == (0.001, 900)
    edited.body_mass[1] = other.body_mass[1]
    assert edits(other, edited) == {}
