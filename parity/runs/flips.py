"""Where two free runs of a network with thresholds part, because a unit was turned by a rounding that has grown.

Runs from moved starts cannot tell when: the first of them may be turned later than the two that are compared. So the
spikes or signs of our run are compared with those from Julia's parameters (which every epoch compares with Julia's own
by itself). Where they first differ, by a state that is nearer to its threshold than a thousandth of the largest, the
comparison of the free runs ends.
"""

from __future__ import annotations

import numpy as np

from parity.checks.free_running import HORIZON
from parity.checks.julia_run import JuliaEpoch
from parity.checks.yardstick import as_tensor
from parity.runs.parting import margins
from pyflossing.config import TrainingConfig
from pyflossing.model.networks import TanhNetwork
from pyflossing.training.records import Record


class Flips:
    """Looks for the first epoch with different spikes or signs.

    Attributes:
        possible: whether the units have thresholds.
        found: whether there was one that a grown rounding explains.
        before: epochs of either kind before it: "epochs", "flossing epochs".
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.possible = not isinstance(config.network, TanhNetwork)
        self.found = False
        self.before = {"epochs": 0, "flossing epochs": 0}
        self._config = config

    def look(self, of: JuliaEpoch, ours: Record | None) -> None:
        """Compare one epoch of both runs."""
        if self.found or ours is None or not self.possible:
            return
        config, case = self._config, of.case
        inputs = as_tensor(case.inputs[: case.n_steps] if of.flossing_epoch else case.inputs, config.dtype)
        trials = case.inputs.shape[2]
        both = []
        for parameters in (
            ours.parameters._asdict(),
            {n: as_tensor(p, config.dtype) for n, p in of.parameters.items()},
        ):
            started = parameters | {"x0": parameters["x0"][:, :trials]}
            both.append(margins(config.network, started, inputs))
        differing = (both[0] > 0) != (both[1] > 0)
        if differing.any():
            step = int(np.flatnonzero(differing.any(axis=(0, 1)))[0])
            here = np.maximum(*(np.abs(margin[..., step]) for margin in both))
            self.found = bool(here[differing[..., step]].max() <= HORIZON * here.max())
        if not self.found:
            self.before["flossing epochs" if of.flossing_epoch else "epochs"] += 1

    def rows(self, unit: str, rows: int) -> int:
        """How many of so many rows of a series may be compared."""
        return min(rows, self.before[unit]) if self.found else rows
