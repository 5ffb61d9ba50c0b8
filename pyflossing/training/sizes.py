"""Which runs this machine's memory cannot hold."""

from __future__ import annotations

from pyflossing._support.memory import require_memory
from pyflossing.config.schedule import FlossingSchedule
from pyflossing.config.settings import TrainingConfig
from pyflossing.model.tasks import trial_bytes

_COPIES_OF_PARAMETERS = 5  # first and present ones, gradient, both moments of Adam
_COPIES_OF_STATES = 2  # the states, and what the units send
_COPIES_OF_FRAMES = 4  # the frames, their products with J, the gradients of both
_SERIES = 8  # of training epochs: loss, accuracy, six norms


def require_training_fits(config: TrainingConfig) -> None:
    """Refuse a run of which the machine's memory cannot hold even the largest arrays, before any work.

    Raises:
        ValueError: naming the setting that weighs most, its value, and the bytes that are needed and there.
    """
    flossing, schedule = config.flossing, config.flossing.schedule
    periodic = isinstance(schedule, FlossingSchedule)
    sizes = {
        "n_units": config.n_units,
        "n_epochs": config.n_epochs,
        "trials.batch_size": config.trials.batch_size,
        "trials.n_steps": config.trials.n_steps,
        "flossing.n_exponents": flossing.n_exponents,
        "flossing.n_steps": flossing.n_steps,
        "flossing.trial_steps": flossing.trial_steps,
        "flossing.n_trials": flossing.n_trials,
        "flossing.schedule.before": schedule.before,
        # whether episodes of an adaptive schedule come is not known before
        "flossing.schedule.episode": schedule.episode if periodic else 0,
        "flossing.schedule.n_episodes": schedule.n_episodes if periodic else 0,
    }
    number = 8 if config.dtype == "float64" else 4
    period = schedule.period if isinstance(schedule, FlossingSchedule) else 1

    def needed(
        units: int, epochs: int, batch: int, steps: int, exponents: int, floss_steps: int, trial_steps: int,
        trials: int, before: int, episode: int, episodes: int,
    ) -> int:  # fmt: skip
        parameters = _COPIES_OF_PARAMETERS * number * units * (units + batch)
        if not epochs:
            return parameters
        states = trial_bytes(batch, steps) + _COPIES_OF_STATES * number * steps * batch * units
        series = 8 * epochs * (batch + _SERIES)
        flossing_epochs = (before + episode * min(episodes, epochs // period)) if exponents else 0
        if flossing_epochs:
            states = max(
                states,
                trial_bytes(trials, trial_steps) + _COPIES_OF_FRAMES * number * floss_steps * exponents * units,
            )
            series += 8 * flossing_epochs * (exponents + 3)
        return parameters + states + series

    require_memory("the run's arrays", sizes, needed)
