"""Sizes of the networks of motion models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gait_trainers.config.section import Section

Width = Annotated[int, Field(ge=1, le=4096)]
# Which settings each network has.
_PERCEPTRON = ("hidden", "history", "dropout")
_OWN = {
    "mlp": _PERCEPTRON,
    "gru": ("width", "layers", "dropout"),
    "lstm": ("width", "layers", "dropout"),
    "transformer": ("width", "layers", "heads", "context", "dropout"),
    "transformer_reg": ("width", "layers", "heads", "context", "dropout", "drop_branch"),
    "mixture": (*_PERCEPTRON, "experts", "gate"),
}


class NetworkSettings(Section):
    """Sizes of the network; each kind of network takes those that concern it."""

    hidden: list[Width] = Field(
        default=[256, 256, 256], min_length=1, max_length=8, description="Hidden layers of mlp and mixture."
    )
    history: int = Field(default=1, ge=1, le=64, description="Frames that mlp and mixture see, the current one last.")
    width: Width = Field(default=256, description="Width of gru, lstm and transformers.")
    layers: int = Field(default=1, ge=1, le=16, description="Layers of gru, lstm and transformers.")
    heads: int = Field(default=4, ge=1, le=64, description="Attention heads of transformers.")
    context: int = Field(default=32, ge=2, le=1024, description="Frames back that transformers attend to.")
    experts: int = Field(default=4, ge=2, le=32, description="Experts of mixture.")
    gate: Width = Field(default=32, description="Hidden width of mixture's gate.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of activations dropped in training.")
    drop_branch: float = Field(
        default=0.0, ge=0, lt=1, description="Share of residual branches that transformer_reg drops in training."
    )

    def of(self, network: str) -> dict[str, Any]:
        """The settings that a network takes."""
        return {key: getattr(self, key) for key in _OWN[network]}
