"""Our episodes as `imitation` trajectories and as minari datasets, and back, without loss.

Neither's own files are read or written: those of `imitation` hold pickled objects. Both state where the episodes
are from, with the licences of the clips that they follow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from gait_trainers.imitation.demonstrations import Demonstrations, Episode

ENDS = ("terminated", "truncated")  # of the last step, in its info: a trajectory only says that it ended
SOURCE = "source"  # in the info of the last step: `Demonstrations.source`


def to_trajectory(episode: Episode, source: Mapping[str, Any] | None = None) -> TrajectoryWithRew:
    """The episode for `imitation`; the info of each step is a mapping of its values, that of the last one also says
    where the episode is from (`Demonstrations.source`)."""
    steps = len(episode.actions)
    infos: list[dict[str, Any]] = [{name: column[t] for name, column in episode.info.items()} for t in range(steps)]
    infos[-1] |= {name: getattr(episode, name) for name in ENDS}
    infos[-1] |= {} if source is None else {SOURCE: dict(source)}
    return TrajectoryWithRew(
        obs=episode.obs,
        acts=episode.actions,
        infos=np.array(infos),
        terminal=episode.terminated or episode.truncated,
        rews=episode.rewards,
    )


def to_trajectories(found: Demonstrations) -> list[TrajectoryWithRew]:
    """All episodes for `imitation`, each with where it is from."""
    return [to_trajectory(episode, found.source) for episode in found.episodes]


def source_of(trajectory: TrajectoryWithRew) -> dict[str, Any]:
    """Where a trajectory is from, with its clips' licences; empty if it does not say."""
    last = {} if trajectory.infos is None else trajectory.infos[-1]
    return dict(last.get(SOURCE, {}))


def from_trajectory(trajectory: TrajectoryWithRew) -> Episode:
    """The episode of a trajectory; one that does not say how it ended was cut off."""
    infos = [{}] * len(trajectory) if trajectory.infos is None else list(trajectory.infos)
    ends = {name: bool(infos[-1].get(name, name == "truncated" and trajectory.terminal)) for name in ENDS}
    names = [name for name in infos[0] if name not in (*ENDS, SOURCE) and all(name in info for info in infos)]
    info = {name: np.stack([np.asarray(info[name]) for info in infos]) for name in names}
    return Episode(np.asarray(trajectory.obs), trajectory.acts, trajectory.rews, info=info, **ends)


def to_minari(found: Demonstrations, dataset_id: str, **about: Any) -> Any:
    """Write the minari dataset `dataset_id` in minari's own folder; `about`: author, description, …

    Its infos begin at a reset, of which ours know nothing: each column begins with its first row twice. The source of
    the episodes, with the clips' licences, follows the description as JSON.
    """
    import gymnasium
    import minari
    from minari.data_collector.episode_buffer import EpisodeBuffer

    env = gymnasium.make(found.env_id, **found.env_kwargs)
    buffers = [
        EpisodeBuffer(
            id=number,
            observations=episode.obs,
            actions=episode.actions,
            rewards=list(episode.rewards),
            terminations=_last(len(episode.actions), episode.terminated),
            truncations=_last(len(episode.actions), episode.truncated),
            infos={name: np.concatenate([column[:1], column]) for name, column in episode.info.items()},
        )
        for number, episode in enumerate(found.episodes)
    ]
    by = str(found.source.get("expert", ""))
    about["description"] = "\n".join([str(about.get("description", "")), json.dumps(dict(found.source))]).strip()
    return minari.create_dataset_from_buffers(
        dataset_id=dataset_id, buffer=buffers, env=env, eval_env=env, algorithm_name=by, **about
    )


def from_minari(dataset: Any) -> list[Episode]:
    """The episodes of a minari dataset, in order."""
    return [
        Episode(
            np.asarray(e.observations),
            np.asarray(e.actions),
            np.asarray(e.rewards, dtype=np.float64),
            bool(e.terminations[-1]),
            bool(e.truncations[-1]),
            {name: np.asarray(column)[1:] for name, column in (e.infos or {}).items()},
        )
        for e in dataset.iterate_episodes()
    ]


def _last(steps: int, ended: bool) -> Sequence[bool]:
    return [*[False] * (steps - 1), ended]
