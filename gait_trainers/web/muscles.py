"""What the page gets of muscles: the law of their torques, and their network as a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gait_envs.control.muscle_network import LEAK, SCALE, MuscleNetwork
from gait_envs.models.muscles import REFRESH
from gait_envs.simulation.muscles import MuscleSimulation

OPSET, IR_VERSION = 20, 10  # of the graph's file, as those of policies


def describe_muscles(simulation: MuscleSimulation) -> dict[str, Any]:
    """Section `muscles` of `body.json`; arrays in the order of the muscles, of their dofs, or of all dofs."""
    robot, muscles, law = simulation.robot, simulation.muscles, simulation.stable_pd
    tendons = robot.model.actuator_trnid[muscles.actuators, 0]
    return {
        "names": list(muscles.names),
        "refresh": REFRESH,  # physics steps that activations are held
        "dt": law.dt,  # s, as long
        "kp": law.kp.tolist(),  # (nv,) N·m/rad
        "kd": law.kd.tolist(),  # (nv,) N·m·s/rad
        "damping": law.damping.tolist(),  # (nv,) N·m·s/rad
        "dofs": muscles.dofs.tolist(),
        "outputs": muscles.outputs.tolist(),
        "controls": muscles.controls.tolist(),
        "activations": muscles.activations.tolist(),
        "entry_muscle": muscles.entry_muscle.tolist(),
        "entry_dof": muscles.entry_dof.tolist(),
        "scale": SCALE,  # N·m, of the network's inputs
        "curves": {name: np.asarray(value).tolist() for name, value in vars(simulation.curves).items()},
        "tendons": tendons.tolist(),  # ids, for drawing
        "widths": robot.model.tendon_width[tendons].tolist(),  # m
    }


def write_muscle_network(network: MuscleNetwork, path: Path) -> None:
    """The network as an ONNX graph: `torques` (1, entries + dofs), divided by the scale, to `activations` (1, m)."""
    nodes, weights, last = [], [], "torques"
    for k, (weight, bias) in enumerate(network.layers):
        weights += [numpy_helper.from_array(weight, f"weight_{k}"), numpy_helper.from_array(bias, f"bias_{k}")]
        nodes.append(helper.make_node("Gemm", [last, f"weight_{k}", f"bias_{k}"], [f"sum_{k}"]))
        final = k == len(network.layers) - 1
        bend: dict[str, Any] = {} if final else {"alpha": LEAK}
        nodes.append(helper.make_node("Tanh" if final else "LeakyRelu", [f"sum_{k}"], [f"layer_{k}"], **bend))
        last = f"layer_{k}"
    nodes.append(helper.make_node("Relu", [last], ["activations"]))
    sizes = network.layers[0][0].shape[0], network.layers[-1][0].shape[1]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
        for name, size in zip(("torques", "activations"), sizes, strict=True)
    ]
    graph = helper.make_graph(nodes, "muscle_network", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(model, path)
