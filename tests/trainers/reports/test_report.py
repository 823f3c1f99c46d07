"""The report: numbers on the page are the evaluation's, pictures are there, odd metrics do no harm."""

from html.parser import HTMLParser

import matplotlib.pyplot as plt
import mujoco
import numpy as np
import pytest

from gait_envs.render import body_rows
from gait_trainers.evaluation.gait_metrics import Rollout
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.base import Feedforward, GaussianPolicy, Policy
from gait_trainers.policies.environment import make_env
from gait_trainers.reports import training as report
from gait_trainers.reports.training import plot_training, shown_frames, stride, write_report

METRICS = "iteration,steps,elapsed,success_rate,forward_velocity,command,disc_acc\n"


@pytest.fixture
def policy() -> Policy:
    def forward(obs):
        return np.zeros((len(obs), 9), np.float32), np.full((len(obs), 9), 0.1, np.float32)

    return GaussianPolicy("statue <1>", Feedforward(forward), "GaitNet/WildRobot-v0", {})


class Page(HTMLParser):
    """Rows of cells, and what the page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.sources: list[str] = []
        self.headings: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._in = tag
        if tag == "tr":
            self.rows.append([])
        self.sources += [value for key, value in attributes if key == "src"]

    def handle_endtag(self, tag):
        self._in = ""

    def handle_data(self, data):
        if self._in in ("td", "th"):
            self.rows[-1].append(data)
        if self._in == "h2":
            self.headings.append(data)


def test_the_page_shows_the_evaluation_and_its_pictures_exist(policy, tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS + "1,256,0.5,,0.1,0.4,0.9\n2,512,90,0.25,0.2,0.4,0.8\n")
    result = evaluate(policy, 2, [(0.3, 0.0, 0.0)], env_kwargs={"max_episode_steps": 60}, threads=1)
    page = write_report(tmp_path, [result], policy=policy, videos=[tmp_path / "walk.mp4"])
    found = Page(page.read_text())
    assert found.rows[1][:3] == ["0.3", "100%", "0%"]  # it stands, and follows nothing
    assert found.rows[1][4] == f"{result['speed_error']:.3f}"
    assert "512 steps in 1.5 minutes" in page.read_text()
    assert any("statue <1>" in heading for heading in found.headings)  # escaped, so it reads back
    assert "../walk.mp4" in found.sources
    for source in found.sources:
        if source.endswith(".png"):
            assert (page.parent / source).stat().st_size > 1000


def test_without_a_renderer_the_page_says_so(policy, tmp_path, monkeypatch):
    def no_gl(*_):
        raise RuntimeError("cannot render off screen")

    monkeypatch.setattr(report, "strip", no_gl)
    result = evaluate(policy, 1, [(0.3, 0.0, 0.0)], env_kwargs={"max_episode_steps": 60}, threads=1)
    page = write_report(tmp_path, result, policy=policy)
    assert "cannot render off screen" in page.read_text()
    assert "strip.png" not in page.read_text()
    assert "training.png" not in page.read_text()  # this run has no metrics


def test_curves_are_those_of_the_metrics():
    rows = [{"steps": "1000000", "success_rate": ""}, {"steps": "2000000", "success_rate": "0.5"}]
    figure = plot_training([*rows, {"steps": "3000000", "success_rate": "0.9"}])
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_xydata(), [[2.0, 0.5], [3.0, 0.9]])
    plt.close(figure)


def rollout(left: np.ndarray, length: int | None = None) -> Rollout:
    """Feet that stand and swing as told; nothing else moves."""
    frames = len(left)
    force = np.zeros((frames, 1, 4))
    force[:, 0, 0], force[:, 0, 2] = 30.0 * left, 30.0 * ~left
    valid = np.arange(frames)[:, None] < (length or frames)
    zeros = np.zeros
    return Rollout(
        zeros((frames, 1, 16)), zeros((frames, 1, 15)), force, zeros((frames, 1, 2, 3)), zeros((frames, 1, 2, 3)),
        zeros((frames, 1, 9)), zeros((1, 3)), valid, 0.02, np.array([3.38]),
    )  # fmt: skip


def test_a_stride_is_from_one_left_touchdown_to_the_next():
    left = (np.arange(501) // 20) % 2 == 1  # lands at 20, 60, 100 … 220, 260
    assert stride(rollout(left)) == (220, 260)
    assert stride(rollout(np.ones(501, bool))) == (200, 250)  # stands: one second


def test_a_short_episode_shows_its_end():
    frames = shown_frames(rollout(np.ones(501, bool), length=150))
    assert (frames[0], frames[-1]) == (25, 149)
    frames = shown_frames(rollout(np.ones(501, bool), length=30))
    assert (frames[0], frames[-1]) == (0, 29)


def test_each_panel_has_all_its_curves_and_a_title_that_fits():
    names = [name for panel in report.PANELS for name in panel.columns]
    rows = [{"steps": str(step), **dict.fromkeys(names, "0.5")} for step in (1000, 2000)]
    figure = plot_training(rows)
    try:
        figure.canvas.draw()
        axes = figure.axes[: len(report.PANELS)]
        assert [len(axis.lines) for axis in axes] == [len(panel.columns) for panel in report.PANELS]
        for axis in axes:
            assert len({line.get_color() for line in axis.lines}) == len(axis.lines)
        boxes = [axis.title.get_window_extent() for axis in axes]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[i + 1 :]), report.PANELS[i].title
            assert box.x1 <= figure.bbox.x1, report.PANELS[i].title
    finally:
        plt.close(figure)


@pytest.mark.parametrize("env_id", ["GaitNet/WildRobot-v0", "GaitNet/Humanoid-v0"])
def test_a_strip_shows_the_whole_body(env_id):
    env = make_env(env_id, num_envs=1, threads=1)
    env.reset(seed=0)
    model, data, size = env.model, mujoco.MjData(env.model), 200
    data.qpos[:] = env.core.state.qpos[0]
    mujoco.mj_forward(model, data)
    try:
        renderer = mujoco.Renderer(model, size, size)
    except Exception as error:  # the GL back ends raise many kinds
        pytest.skip(f"no pictures here: {error}")
    renderer.enable_segmentation_rendering()
    renderer.update_scene(data, "side")
    geoms, kinds = np.moveaxis(renderer.render(), 2, 0)
    renderer.close()
    body = (kinds == mujoco.mjtObj.mjOBJ_GEOM) & (model.geom_bodyid[geoms] > 0)
    seen = np.flatnonzero(body.any(axis=1))
    rows = body_rows(model, data.qpos[None], "side", size)
    assert rows.start < seen[0]
    assert seen[-1] < rows.stop
    assert rows.stop - rows.start < 1.25 * (seen[-1] - seen[0])  # and little else
    env.close()
