"""Policies with a recurrent layer: sb3-contrib's recurrent actor-critic, with a faster LSTM and a GRU.

sb3-contrib cuts a rollout where episodes begin and pads the pieces. Here a chunk of a rollout is one batch of whole
sequences (environments × steps): the input's product with its weights is computed for all steps at once, then the
recurrence runs step by step, with the state set to zero where an episode begins. The losses are the same.

A layer maps features (T, n, in) to outputs (T, n, H), from a state: (hidden, cell), (n, H) each. A GRU has no cell; its
place in the pair, which sb3-contrib expects, is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from gait_envs.models.mirror import SignedPermutation, joined
from gait_trainers.models.lstm_sequence import LSTMSequence
from gait_trainers.models.symmetry import Equivariant, swapped_halves, symmetrize_heads

GATES = {"lstm": 4, "gru": 3}  # input, forget, candidate, output; reset, update, candidate
Pair = tuple[Tensor, Tensor]


class StateSpec(NamedTuple):
    """One array of a policy's state."""

    name: str  # of the graph's input; its output is "next_<name>"
    shape: tuple[int, ...]  # of a row


class RecurrentLayer(nn.Module):
    """One LSTM or GRU layer, with the arithmetic, the names and the initial weights of torch's."""

    weight_ih_l0: Tensor  # (gates · H, in)
    weight_hh_l0: Tensor  # (gates · H, H)
    bias_ih_l0: Tensor  # (gates · H,)
    bias_hh_l0: Tensor

    def __init__(self, kind: str, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.kind, self.input_size, self.hidden_size, self.num_layers = kind, input_size, hidden_size, 1
        rows, bound = GATES[kind] * hidden_size, hidden_size**-0.5
        shapes = {"weight_ih_l0": (rows, input_size), "weight_hh_l0": (rows, hidden_size),
                  "bias_ih_l0": (rows,), "bias_hh_l0": (rows,)}  # fmt: skip
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))

    def step(self, features: Tensor, state: Pair) -> tuple[Tensor, Pair]:
        """One step: features (n, in) -> outputs (n, H) and the next state. The weights enter a graph as they are."""
        projected = functional.linear(features, self.weight_ih_l0, self.bias_ih_l0)
        from_hidden = functional.linear(state[0], self.weight_hh_l0, self.bias_hh_l0)
        gru = self.kind == "gru"
        state = _gru(projected, from_hidden, state) if gru else _lstm(projected + from_hidden, state)
        return state[0], state

    def forward(self, features: Tensor, state: Pair, starts: Tensor) -> tuple[Tensor, Pair]:
        """A chunk: features (T, n, in), starts (T, n) true where a state is set to zero before the step."""
        keep = (~starts).to(features.dtype)[:, :, None]
        if self.kind == "lstm":
            # The second bias joins the projection, which is computed once for all steps.
            projected = functional.linear(features, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)
            outputs, hidden, cell = LSTMSequence.apply(projected, self.weight_hh_l0, *state, keep)  # type: ignore[no-untyped-call]
            return outputs, (hidden, cell)
        projected, found = functional.linear(features, self.weight_ih_l0, self.bias_ih_l0), []
        weight, bias, resets = self.weight_hh_l0.t(), self.bias_hh_l0, starts.any(dim=1).tolist()
        for at, reset in enumerate(resets):
            if reset:
                state = (state[0] * keep[at], state[1])
            state = _gru(projected[at], torch.addmm(bias, state[0], weight), state)
            found.append(state[0])
        return torch.stack(found), state

    def symmetrize(self, input: SignedPermutation) -> SignedPermutation:
        """Keep the layer equivariant from now on; returns the mirror of its outputs and states."""
        own = swapped_halves(self.hidden_size)
        gates = joined([own] * GATES[self.kind])
        with torch.no_grad():
            for name, columns in (("weight_ih_l0", input), ("weight_hh_l0", own)):
                weight = getattr(self, name)
                projected = Equivariant(gates, columns)(weight)
                weight.copy_(projected * (weight.norm() / projected.norm().clamp(min=1e-12)))
        parametrize.register_parametrization(self, "weight_ih_l0", Equivariant(gates, input))
        parametrize.register_parametrization(self, "weight_hh_l0", Equivariant(gates, own))
        for name in ("bias_ih_l0", "bias_hh_l0"):
            parametrize.register_parametrization(self, name, Equivariant(gates))
        return own


def _lstm(gates: Tensor, state: Pair) -> Pair:
    """The next state, from the gates (n, 4 H) before their activations."""
    size = gates.shape[1] // 4
    enter, forget = torch.sigmoid(gates[:, :size]), torch.sigmoid(gates[:, size : 2 * size])
    candidate, leave = torch.tanh(gates[:, 2 * size : 3 * size]), torch.sigmoid(gates[:, 3 * size :])
    cell = forget * state[1] + enter * candidate
    return leave * torch.tanh(cell), cell


def _gru(projected: Tensor, from_hidden: Tensor, state: Pair) -> Pair:
    """The next state, from what input and hidden state contribute to the gates, (n, 3 H) each."""
    size = projected.shape[1] // 3
    both = torch.sigmoid(projected[:, : 2 * size] + from_hidden[:, : 2 * size])
    reset, update = both[:, :size], both[:, size:]
    candidate = torch.tanh(projected[:, 2 * size :] + reset * from_hidden[:, 2 * size :])
    return candidate + update * (state[0] - candidate), state[1]


class RecurrentPolicy(RecurrentActorCriticPolicy):
    """sb3-contrib's policy with one `RecurrentLayer` for the actions and another for the value, before their hidden
    layers; mirror-symmetric where mirrors are given."""

    lstm_actor: RecurrentLayer  # type: ignore[assignment]
    lstm_critic: RecurrentLayer  # type: ignore[assignment]

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        *,
        kind: str,
        hidden_size: int,
        observation_mirror: SignedPermutation | None = None,
        action_mirror: SignedPermutation | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(observation_space, action_space, lr_schedule, lstm_hidden_size=hidden_size, **kwargs)
        self.lstm_actor = RecurrentLayer(kind, self.features_dim, hidden_size)
        self.lstm_critic = RecurrentLayer(kind, self.features_dim, hidden_size)
        self.observation_mirror, self.action_mirror = observation_mirror, action_mirror
        if observation_mirror is not None and action_mirror is not None:
            own = [layer.symmetrize(observation_mirror) for layer in (self.lstm_actor, self.lstm_critic)]
            symmetrize_heads(self, own[0], action_mirror)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    @property
    def kind(self) -> str:
        """ "lstm" or "gru"."""
        return self.lstm_actor.kind

    @staticmethod
    def _process_sequence(  # type: ignore[override]  # there the states are annotated as one tensor
        features: Tensor, lstm_states: Pair, episode_starts: Tensor, lstm: Any
    ) -> tuple[Tensor, Pair]:
        """sb3-contrib's contract: features (n · T, in), sequence after sequence; states (1, n, H); starts
        (n · T,)."""
        n = lstm_states[0].shape[1]
        sequences = features.reshape(n, -1, lstm.input_size).swapaxes(0, 1)
        starts = episode_starts.reshape(n, -1).swapaxes(0, 1) > 0.5
        outputs, (hidden, cell) = lstm(sequences, (lstm_states[0][0], lstm_states[1][0]), starts)
        return outputs.transpose(0, 1).flatten(0, 1), (hidden[None], cell[None])


def recurrent_state(policy: Any) -> tuple[StateSpec, ...]:
    """What a recurrent policy, ours or sb3-contrib's, remembers to act; () of any other."""
    if not isinstance(policy, RecurrentActorCriticPolicy):
        return ()
    gru = isinstance(policy, RecurrentPolicy) and policy.kind == "gru"
    names = ("hidden",) if gru else ("hidden", "cell")
    return tuple(StateSpec(name, (policy.lstm_actor.hidden_size,)) for name in names)


def acting_layer(policy: Any) -> RecurrentLayer:
    """The layer that a recurrent policy acts with; of torch's LSTM, which sb3-contrib's own policy has, one of ours
    with its weights."""
    layer = policy.lstm_actor
    if isinstance(layer, RecurrentLayer):
        return layer
    ours = RecurrentLayer("lstm", layer.input_size, layer.hidden_size)
    ours.load_state_dict(layer.state_dict())
    return ours


def layer_parameters(kind: str, inputs: int, size: int) -> int:
    """How many parameters a layer has."""
    return GATES[kind] * size * (inputs + size + 2)


def pair(states: Iterable[Tensor]) -> Pair:
    """A state as the layer takes it: a GRU's hidden state stands for the cell it has none of."""
    hidden, *cell = states
    return hidden, cell[0] if cell else hidden
