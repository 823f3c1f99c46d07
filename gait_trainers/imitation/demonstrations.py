"""Demonstrations: what an expert observed and did in an environment, episode by episode, and their file.

The file is an `.npz` without pickle: the episodes' rows end to end, their lengths, and `meta`, which says in JSON what
the numbers mean and where they are from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.assets import asset_root
from gait_envs.errors import GaitNetError, one_line
from gait_envs.files import replacing
from gait_envs.reading.archive import Archive
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import parse_json
from gait_envs.reference.clip import MAX_NUMBER
from gait_trainers.config.section import ConfigError
from gait_trainers.config.stored import check_stored

FORMAT, FORMAT_VERSION = "demonstrations", 1
LIMIT = 256 << 20  # bytes of all arrays of a file, 8 a value: about 400,000 steps of WildRobot
INFO = "info."  # what the names of the info's columns begin with in the file


class DemonstrationError(GaitNetError, ValueError):
    """Demonstrations that cannot be used, or made as asked."""


@dataclass(frozen=True)
class Episode:
    """One episode of T steps, from its reset to its end."""

    obs: np.ndarray  # (T + 1, d) float32, raw observations
    actions: np.ndarray  # (T, nu) float32, in [-1, 1]
    rewards: np.ndarray  # (T,) float64, of the environment
    terminated: bool  # it ended by a failure
    truncated: bool  # it was cut off, by a time limit or the end of a clip
    info: Mapping[str, np.ndarray] = field(default_factory=dict)  # (T, …) each, of the steps

    def __post_init__(self) -> None:
        steps = len(self.actions)
        if steps < 1 or len(self.obs) != steps + 1 or self.rewards.shape != (steps,):
            raise DemonstrationError(
                f"an episode of {len(self.obs)} observations, {steps} actions and {self.rewards.shape} rewards; "
                "expected T + 1, T of at least 1, and (T,)"
            )
        for name, column in self.info.items():
            if len(column) != steps:
                raise DemonstrationError(f"info {name!r} has {len(column)} rows in an episode of {steps} steps")


@dataclass(frozen=True)
class Demonstrations:
    """Episodes of one environment, and where they are from."""

    episodes: Sequence[Episode]
    env_id: str
    env_kwargs: Mapping[str, Any]
    layout: Sequence[Mapping[str, Any]]  # of the observations: `Layout.table()`
    # expert, expert_env_id, expert_license, reference, seed, episodes; clips: rows of `origins`, of the clips that
    # episodes follow or begin in; expert_licenses: of clips that the expert was made from
    source: Mapping[str, Any]

    @property
    def steps(self) -> int:
        """Control steps of all episodes."""
        return sum(len(episode.actions) for episode in self.episodes)

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """See `pairs_of`."""
        return pairs_of(self.episodes)

    @property
    def licenses(self) -> list[str]:
        """Licences of the clips that they, or their expert, are made from, sorted; empty where none is known."""
        followed = {row["license"] for row in self.source.get("clips", ())}
        return sorted(followed.union(self.source.get("expert_licenses", ())))

    def provenance(self, queried: int = 0) -> dict[str, Any]:
        """Where they are from, for the provenance of a run, and what its policy cost: control steps that the expert
        demonstrated, further steps at which it was queried (DAgger), and both together."""
        return {
            "demonstrations": dict(self.source),
            "licenses": self.licenses,
            "kept_episodes": len(self.episodes),
            "demonstrated_steps": self.steps,
            "queried_steps": queried,
            "expert_steps": self.steps + queried,
        }


def pairs_of(episodes: Sequence[Episode]) -> tuple[np.ndarray, np.ndarray]:
    """Every observation that was acted on, and the action: (steps, d) and (steps, nu)."""
    return (
        np.concatenate([episode.obs[:-1] for episode in episodes]),
        np.concatenate([episode.actions for episode in episodes]),
    )


def save_demonstrations(path: str | Path, found: Demonstrations) -> Path:
    """Write the file, whole or not at all."""
    path = Path(path)
    if path.suffix != ".npz":
        raise DemonstrationError(f"{path}: a file of demonstrations must have a name that ends in .npz")
    names = sorted(found.episodes[0].info) if found.episodes else []
    if any(sorted(episode.info) != names for episode in found.episodes):
        raise DemonstrationError(f"{path}: episodes with different columns of info cannot be in one file")
    meta = {
        "env_id": found.env_id,
        "env_kwargs": dict(found.env_kwargs),
        "layout": [dict(row) for row in found.layout],
        "source": dict(found.source),
    }
    joined = {name: [getattr(e, name) for e in found.episodes] for name in ("obs", "actions", "rewards")}
    joined |= {INFO + name: [e.info[name] for e in found.episodes] for name in names}
    arrays: dict[str, Any] = {name: np.concatenate(rows) for name, rows in joined.items()}
    arrays["lengths"] = np.array([len(e.actions) for e in found.episodes])
    arrays |= {name: np.array([getattr(e, name) for e in found.episodes]) for name in ("terminated", "truncated")}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file, format=np.array(FORMAT), format_version=np.array(FORMAT_VERSION), meta=np.array(json.dumps(meta)),
            **arrays,
        )  # fmt: skip
    return path


def bundled_demonstrations() -> list[str]:
    """The names of the files that come with the package."""
    return sorted(path.stem for path in (asset_root() / "demonstrations").glob("*.npz"))


def find_demonstrations(path: str | Path) -> Path:
    """The path itself if anything is there, else the bundled file that it names; DemonstrationError lists these."""
    path = Path(path)
    if path.exists():
        return path
    if str(path) not in (names := bundled_demonstrations()):
        raise DemonstrationError(f"{one_line(path)}: no such file; bundled demonstrations are {', '.join(names)}")
    return asset_root() / "demonstrations" / f"{path}.npz"


@loader("demonstrations", ".npz")
def load_demonstrations(path: str | Path, limit: int = LIMIT) -> Demonstrations:
    """Read the file, whose arrays take at most `limit` bytes; DemonstrationError says what is wrong with it."""
    where = str(path)
    with Archive(path, DemonstrationError, limit, where) as archive:
        missing = {"format", "format_version", "meta", "obs", "actions", "rewards", "lengths", "terminated",
                   "truncated"} - set(archive.keys)  # fmt: skip
        if missing or str(archive.array("format", "U")) != FORMAT:
            raise DemonstrationError(f"{where}: no file of demonstrations; `gait-train demonstrate` writes one")
        version = archive.array("format_version", "iu")
        if version.shape != () or int(version) != FORMAT_VERSION:
            raise DemonstrationError(f"{where}: format_version is not {FORMAT_VERSION}, which this version reads")
        meta = _read_meta(str(archive.array("meta", "U")), where)
        table = {name: archive.array(name, "f") for name in ("obs", "actions", "rewards")}
        lengths = archive.array("lengths", "iu")
        ends = {name: archive.array(name, "b") for name in ("terminated", "truncated")}
        info = {key: archive.array(key, "fiub") for key in archive.keys if key.startswith(INFO)}
    episodes = _split(table, lengths, ends, info, where)
    return Demonstrations(episodes, meta["env_id"], meta["env_kwargs"], meta["layout"], meta["source"])


def _read_meta(text: str, where: str) -> dict[str, Any]:
    meta = parse_json(text, f"{where}: meta", DemonstrationError)
    kinds = {"env_id": str, "env_kwargs": dict, "layout": list, "source": dict}
    for key, kind in kinds.items():
        if not isinstance(meta, dict) or not isinstance(meta.get(key), kind):
            raise DemonstrationError(f"{where}: meta: {key} is missing or of another kind")
    if not all(isinstance(row, dict) for row in meta["layout"]):
        raise DemonstrationError(f"{where}: meta: layout must be a list of objects")
    rows, names = (meta["source"].get(key, []) for key in ("clips", "expert_licenses"))
    if not isinstance(rows, list) or not all(_is_origin(row) for row in rows):
        raise DemonstrationError(f"{where}: meta: source.clips must be a list of objects with source and license")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DemonstrationError(f"{where}: meta: source.expert_licenses must be a list of texts")
    try:
        check_stored(meta["env_id"], meta["env_kwargs"], f"{where}: meta")
    except ConfigError as error:
        raise DemonstrationError(one_line(error, 500)) from None
    return meta


def _is_origin(row: Any) -> bool:
    return isinstance(row, dict) and all(isinstance(row.get(key), str) for key in ("source", "license"))


def _split(
    table: Mapping[str, np.ndarray],
    lengths: np.ndarray,
    ends: Mapping[str, np.ndarray],
    info: Mapping[str, np.ndarray],
    where: str,
) -> list[Episode]:
    """The episodes out of the rows end to end; every size is checked first."""
    obs, actions, rewards = (table[name] for name in ("obs", "actions", "rewards"))
    if obs.ndim != 2 or actions.ndim != 2:
        raise DemonstrationError(f"{where}: obs and actions must be tables of a row a step")
    count = len(lengths) if lengths.ndim == 1 else -1
    if count < 1 or not (lengths >= 1).all() or int(lengths.max()) > len(actions):
        raise DemonstrationError(f"{where}: lengths must be the episodes' numbers of steps, at least 1 each")
    steps = int(lengths.astype(np.int64).sum())
    shapes = {"actions": (steps,), "rewards": (steps,), "obs": (steps + count,)} | dict.fromkeys(info, (steps,))
    for name, expected in shapes.items():
        found = info[name] if name in info else table[name]
        if found.shape[:1] != expected or found.ndim != (1 if name == "rewards" else max(found.ndim, 1)):
            raise DemonstrationError(f"{where}: {one_line(name)} has shape {found.shape}, expected {expected[0]} rows")
    if any(ends[name].shape != (count,) for name in ends):
        raise DemonstrationError(f"{where}: terminated and truncated must have a value for each of {count} episodes")
    if not all((np.abs(table[name]) < MAX_NUMBER).all() for name in table):
        raise DemonstrationError(f"{where}: obs, actions or rewards are not finite, or not below {MAX_NUMBER:g}")
    stops = np.cumsum(lengths)
    return [
        Episode(
            obs[start + i : stop + i + 1].astype(np.float32),
            actions[start:stop].astype(np.float32),
            rewards[start:stop].astype(np.float64),
            bool(ends["terminated"][i]),
            bool(ends["truncated"][i]),
            {name.removeprefix(INFO): column[start:stop] for name, column in info.items()},
        )
        for i, (start, stop) in enumerate(zip(stops - lengths, stops, strict=True))
    ]
