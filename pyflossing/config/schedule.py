"""When flossing runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pyflossing._support.arguments import FieldError, Limit, require_positive_or_infinite

_COUNT = Limit(int, 0)


@dataclass(frozen=True)
class Episodes:
    """Episodes of one length, at regular distances; however many they are, what is asked of them takes no time.

    Flossing epoch i of the episode before training epoch e draws its trials with the index e + i.

    Args:
        epochs: training epochs that an episode comes before.
        length: flossing epochs of each.
    """

    epochs: range
    length: int

    def __bool__(self) -> bool:
        return bool(self.epochs) and self.length > 0

    @property
    def indices(self) -> tuple[int, int]:
        """The smallest and the largest; of episodes that are there."""
        return self.epochs[0] + 1, self.epochs[-1] + self.length

    def draws(self, index: int) -> bool:
        """Whether some flossing epoch has this index."""
        if not self or index <= self.epochs[0]:
            return False
        place = (min(index - 1, self.epochs[-1]) - self.epochs[0]) // self.epochs.step
        return index <= self.epochs[0] + place * self.epochs.step + self.length

    def count(self, first_epoch: int = 1) -> int:
        """Flossing epochs of the episodes before the training epochs from ``first_epoch`` on."""
        if not self:
            return 0
        behind = max(0, -((self.epochs[0] - first_epoch) // self.epochs.step))
        return max(0, (self.epochs[-1] - self.epochs[0]) // self.epochs.step + 1 - behind) * self.length


@dataclass(frozen=True)
class FlossingSchedule:
    """The original's schedule, specification (10.1); the defaults are the README's.

    Args:
        before: Ep, flossing epochs before training.
        episode: Ei, flossing epochs of each inter-episode.
        period: Ef, an inter-episode comes before every epoch that it divides, except the first epoch.
        n_episodes: Ni, how many inter-episodes at most; ``before`` does not count towards them.

    Raises:
        ValueError: a negative number, or a period below 1.
    """

    before: int = 500
    episode: int = 500
    period: int = 100
    n_episodes: int = 2

    kind: ClassVar[str] = "periodic"
    LIMITS = {"before": _COUNT, "episode": _COUNT, "period": Limit(int, 1), "n_episodes": _COUNT}  # noqa: RUF012

    def __post_init__(self) -> None:
        for name, limit in self.LIMITS.items():
            object.__setattr__(self, name, limit.check(f"flossing.schedule.{name}", getattr(self, name)))

    @classmethod
    def none(cls) -> FlossingSchedule:
        """No flossing."""
        return cls(before=0, episode=0, period=1, n_episodes=0)

    @classmethod
    def before_training(cls, n_epochs: int) -> FlossingSchedule:
        """One episode before training, none during it."""
        return cls(before=n_epochs, episode=0, period=1, n_episodes=0)

    @classmethod
    def periodic(cls, episode: int, period: int, n_episodes: int, *, before: int = 0) -> FlossingSchedule:
        """Episodes during training, and before it where ``before`` > 0."""
        return cls(before, episode, period, n_episodes)

    def episode_length(self, epoch: int, episodes: int, norm: float | None, last_episode: int | None) -> int:
        """Flossing epochs to run before training epoch ``epoch`` (from 1).

        Args:
            epoch: the training epoch that comes next.
            episodes: inter-episodes that have run.
            norm: Euclidean norm of the loss gradient of the initial state in the previous training epoch.
            last_episode: the epoch before which the latest inter-episode ran.
        """
        if epoch == 1:
            return self.before
        return self.episode if epoch % self.period == 0 and episodes < self.n_episodes else 0

    def possible_episodes(self, n_epochs: int) -> list[Episodes]:
        """All episodes that a run of ``n_epochs`` can have."""
        first = self.period if self.period > 1 else 2
        last = min(n_epochs, first + (self.n_episodes - 1) * self.period)
        between = Episodes(range(first, last + 1, self.period), self.episode)
        return [one for one in (_before_training(self.before, n_epochs), between) if one]


@dataclass(frozen=True)
class AdaptiveSchedule:
    """Flossing when gradients vanish or explode. The rule is ours: "adaptive flossing" is not described in print.

    Specification (10.3).

    An episode comes before epoch e > 1 when the Euclidean norm of the loss gradient of the initial state was below
    ``threshold``, or above ``ceiling``, in epoch e - 1.

    Args:
        threshold: a number > 0.
        episode: flossing epochs of each episode.
        n_episodes: how many at most, ``before`` not counted.
        before: flossing epochs before training.
        cooldown: epochs between two episodes at least.
        ceiling: above ``threshold``; infinity, the default, flosses only when gradients vanish.

    Raises:
        ValueError: a number out of range.
    """

    threshold: float
    episode: int
    n_episodes: int
    before: int = 0
    cooldown: int = 1
    ceiling: float = math.inf

    kind: ClassVar[str] = "adaptive"
    LIMITS = {  # noqa: RUF012
        "threshold": Limit(float),
        "episode": _COUNT,
        "n_episodes": _COUNT,
        "before": _COUNT,
        "cooldown": Limit(int, 1),
    }

    def __post_init__(self) -> None:
        for name, limit in self.LIMITS.items():
            object.__setattr__(self, name, limit.check(f"flossing.schedule.{name}", getattr(self, name)))
        if self.threshold <= 0:
            raise FieldError("flossing.schedule.threshold", self.threshold, "it must be > 0")
        ceiling = require_positive_or_infinite("flossing.schedule.ceiling", self.ceiling)
        if ceiling <= self.threshold:
            raise FieldError("flossing.schedule.ceiling", self.ceiling, f"it must be > threshold, {self.threshold}")
        object.__setattr__(self, "ceiling", ceiling)

    def episode_length(self, epoch: int, episodes: int, norm: float | None, last_episode: int | None) -> int:
        """Flossing epochs to run before training epoch ``epoch``; see :meth:`FlossingSchedule.episode_length`."""
        if epoch == 1:
            return self.before
        rested = last_episode is None or epoch - last_episode >= self.cooldown
        away = norm is not None and not self.threshold <= norm <= self.ceiling
        return self.episode if rested and episodes < self.n_episodes and away else 0

    def possible_episodes(self, n_epochs: int) -> list[Episodes]:
        """All episodes of which a run of ``n_epochs`` can have some."""
        between = Episodes(range(2, n_epochs + 1 if self.n_episodes else 2), self.episode)
        return [one for one in (_before_training(self.before, n_epochs), between) if one]


def _before_training(length: int, n_epochs: int) -> Episodes:
    return Episodes(range(1, 2 if n_epochs else 1), length)
