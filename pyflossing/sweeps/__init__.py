"""Sweeps: declared grids of runs, over the cores of one machine or a cluster; see docs/sweeps.md."""

from pyflossing.sweeps.axes import Axis, Condition
from pyflossing.sweeps.grid import Job, Sweep
from pyflossing.sweeps.pools import SchedulerLost
from pyflossing.sweeps.progress import SweepProgress
from pyflossing.sweeps.report import JobReport
from pyflossing.sweeps.results import SweepResults
from pyflossing.sweeps.running import JobsFailed, SweepStopped, run_sweep

__all__ = [
    "Axis",
    "Condition",
    "Job",
    "JobReport",
    "JobsFailed",
    "SchedulerLost",
    "Sweep",
    "SweepProgress",
    "SweepResults",
    "SweepStopped",
    "run_sweep",
]
