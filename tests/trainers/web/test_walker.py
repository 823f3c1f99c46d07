"""The page's walker without a browser: it walks in real time, whatever the display's rate."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[3] / "gait_trainers" / "web" / "static"
PACE = """
import { Walker } from "./walker.js";
const found = [];
for (const [dt, substeps] of [[0.02, 10], [1 / 30, 16]]) for (const hz of [30, 60, 75, 120, 144, 240, 1000]) {
  const joints = Array(9).fill(0), qpos = Float64Array.from([0, 0, 1, 1, 0, 0, 0, ...joints]);
  let steps = 0;
  const physics = { reset() {}, state: () => ({ qpos, qvel: new Float64Array(15), gyro: [0, 0, 0] }), aim() {},
    step() { steps++; }, sense() {}, muscles: null };
  const action = { home_rad: joints, scale_rad: joints.map(() => 1), lower_rad: joints, upper_rad: joints,
    filter_alpha: 1 };
  const policy = { layout: [], action, act: async () => joints };
  const walker = new Walker({ dt, substeps, start_qpos: [...qpos] }, policy, physics);
  let told = 0;
  for (let i = 0; i < 5 * hz; i++) told += await walker.advance(1 / hz);
  found.push([hz, steps * dt / substeps / 5, told / 5]);
}
console.log(JSON.stringify(found));
"""


def test_it_walks_in_real_time_and_says_what_it_has_simulated(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    for file in STATIC.glob("*.js"):
        shutil.copyfile(file, tmp_path / file.name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "pace.js").write_text(PACE)
    done = subprocess.run([node, "pace.js"], cwd=tmp_path, capture_output=True, text=True, check=True)
    for hz, simulated, told in json.loads(done.stdout):
        assert simulated == pytest.approx(1.0, abs=1e-3), f"at {hz} Hz"
        assert told == pytest.approx(simulated, abs=1e-9), f"at {hz} Hz"
