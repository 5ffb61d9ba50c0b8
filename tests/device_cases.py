"""A small run, and what its numbers on two devices are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from pyflossing import (
    BinaryNetwork,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    SpikingNetwork,
    Surrogate,
    TanhNetwork,
    TrainingConfig,
    TrainingResult,
    Trials,
)

SMALL = TrainingConfig(
    network=TanhNetwork(),
    n_units=7,
    task=DelayedXOR(2),
    trials=Trials(batch_size=3, n_steps=12),
    flossing=Flossing(3, n_steps=20, trial_steps=22, schedule=FlossingSchedule(2, 1, 2, 2)),
    n_epochs=5,
    dtype="float64",
)
NETWORKS = {
    "tanh": TanhNetwork(),
    "binary": BinaryNetwork(Surrogate("sech2", 0.5)),
    "published": SpikingNetwork.published(),
    "per_step": SpikingNetwork.per_step(),
}
each_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def require_same_to_rounding(ours: TrainingResult, theirs: TrainingResult, bound: float = 1e-8) -> None:
    """All numbers, those of whole runs in Float64; what is counted or drawn is the same bit for bit."""
    found, wanted = ours.arrays(), theirs.arrays()
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        if name.startswith("initial/") or array.dtype.kind == "i":
            np.testing.assert_array_equal(found[name], array, err_msg=name)
        else:
            np.testing.assert_allclose(found[name], array, rtol=bound, atol=bound, err_msg=name)
