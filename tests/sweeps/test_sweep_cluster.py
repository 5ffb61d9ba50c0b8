"""Claims about sweeps over a Dask cluster: a real scheduler and workers, as processes on this machine."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading

import pytest
from sweep_cases import assert_same_as_alone, run_at_work, sweep, wait_for

from pyflossing.sweeps import SchedulerLost, SweepStopped, run_sweep

LONG = 500
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Dask's client leaves sockets to the collector
]


@pytest.fixture
def cluster(tmp_path):
    """A scheduler: its address, a function that starts a worker, and its process."""
    processes = []

    def start(kind, *options):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard"]
        with (tmp_path / f"{kind}{len(processes)}.log").open("w") as log:
            process = subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd=tmp_path)
        processes.append(process)
        return process

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = start("scheduler", "--port", str(port))
    options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
    yield address, lambda: start("worker", address, *options), scheduler
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def test_a_killed_worker_s_job_goes_on_elsewhere_and_all_numbers_are_those_of_a_local_run(cluster, tmp_path):
    address, start_worker, _ = cluster
    workers = [start_worker(), start_worker()]
    victims = []

    def kill_one():
        run = wait_for(lambda: run_at_work(workers[0].pid))
        workers[0].send_signal(signal.SIGKILL)
        victims.append(run.name)

    said = []
    killer = threading.Thread(target=kill_one)
    killer.start()
    results = run_sweep(
        sweep(LONG),
        tmp_path / "sweep",
        scheduler=address,
        scheduler_timeout=60,
        checkpoint_every=0.02,
        progress=said.append,
    )
    killer.join()
    assert_same_as_alone(results)
    # gone on with from a checkpoint, and only this one
    assert [name for name, report in results.reports.items() if report.resumed] == victims
    assert said[-1].done == 4
    assert max(one.running for one in said) <= 2


def test_a_scheduler_that_does_not_answer_has_no_workers_or_is_lost_is_told(cluster, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SchedulerLost, match=f"no Dask scheduler answers at {nobody} within 0.5 s"):
            run_sweep(sweep(), tmp_path / "a", scheduler=nobody, scheduler_timeout=0.5)
    with pytest.raises(ValueError, match="scheduler = 'nonsense://x' is not allowed: it must be an address"):
        run_sweep(sweep(), tmp_path / "a", scheduler="nonsense://x")
    assert not list((tmp_path / "a").glob(".lease*"))
    address, _, scheduler = cluster
    said = []
    with pytest.raises(SweepStopped, match="stopped with 0 of 4 jobs done"):
        run_sweep(
            sweep(),
            tmp_path / "b",
            scheduler=address,
            scheduler_timeout=60,
            progress=said.append,
            stop=lambda: bool(said),
        )
    assert said[-1].running == 0
    with pytest.raises(SchedulerLost, match=f"the Dask scheduler at {address} was lost"):
        run_sweep(sweep(), tmp_path / "b", scheduler=address, progress=lambda _: scheduler.kill())
    assert not list((tmp_path / "b").glob(".lease*"))
