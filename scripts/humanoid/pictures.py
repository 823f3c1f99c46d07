"""Pictures of the built bodies and of their moment arms."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import mujoco
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image

import gait_envs.render  # noqa: F401  # finds a way to draw without a display
from humanoid.moment_arms import ours, read_published, sided, sweep, weighted
from humanoid.muscles import REST
from humanoid.tables import Row

GLOW = (1.0, 0.3, 0.1, 1.0)  # colour of a unit at full activation
STEP = {"hip_flexion": 0.45, "knee_flexion": 0.15, "ankle_dorsiflexion": 0.05, "arm_flexion": -0.35}  # leading leg
TRAIL = {"hip_flexion": -0.3, "knee_flexion": 0.6, "ankle_dorsiflexion": -0.25, "big_toe_extension": 0.6,
         "small_toes_extension": 0.5, "arm_flexion": 0.4, "elbow_flexion": 0.5}  # fmt: skip
PUSH_OFF = ("soleus", "med_gas", "lat_gas", "tib_post", "flex_hal")  # of the trailing leg
LOADING = ("vas_med", "vas_int", "vas_lat", "glut_max1", "glut_max2", "glut_max3", "glut_med2")  # of the leading leg

# A panel: joint, its angles, and the units or groups drawn.
PANELS: dict[str, tuple[float, float, dict[str, str]]] = {
    "hip_flexion": (-30, 120, {
        "gluteus maximus": "glut_max1 glut_max2 glut_max3",
        "hamstrings": "semimem semiten bifemlh",
        "adductor magnus": "add_mag1 add_mag2 add_mag3",
        "iliopsoas": "iliacus psoas",
        "rectus femoris": "rect_fem",
        "sartorius": "sar",
    }),
    "hip_abduction": (-30, 45, {
        "gluteus medius": "glut_med1 glut_med2 glut_med3",
        "gluteus minimus": "glut_min1 glut_min2 glut_min3",
        "tensor fasciae latae": "tfl",
        "adductor longus": "add_long",
        "gracilis": "grac",
    }),
    "knee_flexion": (-5, 135, {
        "quadriceps": "rect_fem vas_med vas_int vas_lat",
        "semitendinosus": "semiten",
        "semimembranosus": "semimem",
        "biceps femoris": "bifemlh bifemsh",
        "gastrocnemius": "med_gas lat_gas",
    }),
    "ankle_dorsiflexion": (-50, 30, {
        "Achilles tendon": "med_gas lat_gas soleus",
        "tibialis anterior": "tib_ant",
        "extensor digitorum longus": "ext_dig",
        "peroneus longus": "per_long",
        "tibialis posterior": "tib_post",
    }),
}  # fmt: skip


def moment_arm_picture(model: mujoco.MjModel, tables: Path, path: Path) -> None:
    """Moment arms over the range of motion, with what was measured drawn in the same colour."""
    figure, axes = plt.subplots(2, 3, figsize=(16, 9), layout="constrained")
    published = read_published(tables)
    for axis, (joint, (start, end, groups)) in zip(axes.flat, PANELS.items(), strict=False):
        degrees = np.linspace(start, end, 61)
        for number, (name, units) in enumerate(groups.items()):
            curve = 100 * weighted(model, units.split(), joint, degrees)
            axis.plot(degrees, curve, color=f"C{number}", label=name)
            for row in published:
                if row.text("group") == name and row.text("joint") == joint:
                    _draw_measured(axis, row, np.sign(curve[np.argmax(np.abs(curve))]), f"C{number}")
        axis.axhline(0, color="0.6", linewidth=0.8)
        axis.set(xlabel=f"{joint.replace('_', ' ')} (deg)", ylabel="moment arm (cm)", xlim=(start, end))
        bottom, top = axis.get_ylim()
        axis.set_ylim(bottom - 0.3 * (top - bottom), top)  # room for the legend
        axis.legend(fontsize=8, loc="lower center", ncols=2)
    _inversion(model, published, axes.flat[4])
    _spine(model, axes.flat[5])
    figure.suptitle("Lines: this model. Points and bands: measured, in the colour of their muscle")
    figure.savefig(path, dpi=75)
    plt.close(figure)


def _draw_measured(axis: plt.Axes, row: Row, sign: float, colour: str) -> None:
    (start, end), (low, high) = row.numbers("from_deg", "to_deg"), row.numbers("low", "high")
    if start == end:
        middle = sign * (low + high) / 2
        axis.errorbar([start], [middle], yerr=(high - low) / 2, fmt="o", color=colour, markersize=6, capsize=3)
    else:
        axis.fill_between([start, end], sign * low, sign * high, color=colour, alpha=0.15, linewidth=0)
        if low == high:
            axis.plot([start, end], [sign * low] * 2, ":", color=colour)


def _inversion(model: mujoco.MjModel, published: list[Row], axis: plt.Axes) -> None:
    rows = [row for row in published if row.text("joint") == "ankle_inversion"]
    places = np.arange(len(rows))
    axis.barh(places + 0.2, [ours(model, row)[0] for row in rows], 0.38, label="this model")
    axis.barh(places - 0.2, [row.number("low") for row in rows], 0.38, label="measured")
    axis.set_yticks(places, [row.text("group") for row in rows], fontsize=8)
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.set_xlabel("inverting moment arm, in tibialis posterior's")
    axis.legend(fontsize=8)


def _spine(model: mujoco.MjModel, axis: plt.Axes) -> None:
    degrees = np.linspace(-20, 50, 36)
    for name, unit in (("erector spinae", "ercspn"), ("internal oblique", "intobl"), ("external oblique", "extobl")):
        axis.plot(degrees, 100 * sweep(model, [unit], "spine_flexion", degrees)[:, 0], label=name)
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.set(xlabel="spine flexion (deg)", ylabel="moment arm (cm)")
    axis.legend(fontsize=8)


def stride(model: mujoco.MjModel) -> np.ndarray:
    """A pose (nq,) in mid-stride, the right leg ahead."""
    qpos = model.key("home").qpos.copy()
    for side, angles in (("right", STEP), ("left", TRAIL)):
        for joint, angle in angles.items():
            qpos[model.joint(sided(model, joint, side)).qposadr[0]] = angle
    return qpos


def glow(model: mujoco.MjModel, activation: np.ndarray) -> None:
    """Colour every tendon of the model by its unit's activation (units,), 0 to 1."""
    rest, full = np.array(REST), np.array(GLOW)
    model.tendon_rgba[:] = rest + np.clip(activation, 0, 1)[:, None] * (full - rest)


def activation_of(model: mujoco.MjModel, left: tuple[str, ...], right: tuple[str, ...]) -> np.ndarray:
    """Activations (units,) with these units of either leg on, the others nearly off."""
    names = [model.actuator(i).name for i in range(model.na)]
    on = {f"left_{unit}" for unit in left} | {f"right_{unit}" for unit in right}
    return np.array([0.9 if name in on else 0.05 for name in names])


def body_picture(scene: Path, path: Path, views: list[tuple[str, str]], height: float, distance: float) -> None:
    """A row of views: (pose, direction that the camera looks in) of one body."""
    model = mujoco.MjModel.from_xml_path(str(scene))
    data = mujoco.MjData(model)
    if model.na:
        glow(model, activation_of(model, PUSH_OFF, LOADING))
    camera = mujoco.MjvCamera()
    camera.lookat[:], camera.distance, camera.elevation = (0, 0, height), distance, -4
    azimuth = {"front": 180.0, "side": 90.0, "corner": 140.0, "back": 0.0}
    renderer = mujoco.Renderer(model, 720, 450)
    frames = []
    for pose, view in views:
        data.qpos[:] = stride(model) if pose == "stride" else model.key("home").qpos
        camera.azimuth = azimuth[view]
        mujoco.mj_forward(model, data)
        renderer.update_scene(data, camera)
        frames.append(renderer.render())
    renderer.close()
    Image.fromarray(np.concatenate(frames, axis=1)).quantize(128).save(path, optimize=True)


def draw(assets: Path, folder: Path) -> None:
    """All pictures of the documentation."""
    folder.mkdir(parents=True, exist_ok=True)
    home = [("home", "front"), ("home", "side"), ("stride", "corner"), ("stride", "side")]
    body_picture(assets / "scene.xml", folder / "humanoid_body.png", home, 0.88, 2.6)
    legs = [("home", "front"), ("home", "back"), ("stride", "corner"), ("stride", "side")]
    body_picture(assets / "muscle_scene.xml", folder / "humanoid_muscles.png", legs, 0.62, 2.0)
    model = mujoco.MjModel.from_xml_path(str(assets / "muscle_humanoid.xml"))
    moment_arm_picture(model, assets / "tables", folder / "humanoid_moment_arms.png")
