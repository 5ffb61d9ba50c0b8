"""Claims about sweeps over a Dask cluster: a real scheduler and workers, as processes on this machine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import MappingProxyType

import dask
import distributed  # noqa: F401 - its settings are then there
import pytest
from sweep_cases import assert_same_as_alone, run_at_work, sweep, wait_for
from warm import python

from pyflossing.sweeps import SchedulerLost, SweepStopped, run_sweep

LONG = 1500  # epochs, half a second and more: time to be killed at work
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Dask's client leaves sockets to the collector
]


@pytest.fixture
def started(tmp_path):
    """A function that starts a scheduler: its address, a function that starts a worker, and its process.

    A worker of the id that a test knows is a ``real`` one.
    """
    processes = []

    def start(kind, protocol, settings, *options, real=True):
        command = [
            *([sys.executable] if real else python()),
            "-m",
            f"distributed.cli.dask_{kind}",
            "--host",
            "127.0.0.1",
            "--no-dashboard",
        ]
        with (tmp_path / f"{kind}{len(processes)}.log").open("w") as log:
            process = subprocess.Popen(
                [*command, "--protocol", protocol, *options],
                stdout=log,
                stderr=log,
                cwd=tmp_path,
                env={**os.environ, **settings},
            )
        processes.append(process)
        return process

    def scheduler(protocol="tcp", settings=MappingProxyType({})):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address = f"{protocol}://127.0.0.1:{port}"
        process = start("scheduler", protocol, settings, "--port", str(port))
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
        return address, lambda real=False: start("worker", protocol, settings, address, *options, real=real), process

    yield scheduler
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


@pytest.fixture
def cluster(started):
    """A scheduler that everybody on this machine can use."""
    return started()


def test_a_killed_worker_s_job_goes_on_elsewhere_and_all_numbers_are_those_of_a_local_run(cluster, tmp_path):
    address, start_worker, _ = cluster
    workers = [start_worker(real=True), start_worker()]
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


def test_with_the_certificates_that_the_page_makes_only_who_has_them_is_let_in(started, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    make, settings = (re.search(rf"```sh\n({begin}.*?)```", page, re.DOTALL)[1] for begin in ("umask", "export"))
    subprocess.run(["bash", "-ec", make], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "dask-key.pem").stat().st_mode & 0o777 == 0o600
    pairs = re.findall(r"export (\w+)=(.*)", settings)
    variables = {name: value.replace("$PWD", str(tmp_path)) for name, value in pairs}
    assert len(variables) == settings.count("export") == 8

    address, start_worker, _ = started("tls", variables)
    for _ in range(2):
        start_worker()
    with dask.config.set(dask.config.merge(dask.config.config, dask.config.collect_env(variables))):
        results = run_sweep(sweep(), tmp_path / "sweep", scheduler=address, scheduler_timeout=60)
    assert_same_as_alone(results)
    with pytest.raises(ValueError, match=r"scheduler = 'tls://.*' is not allowed: Dask's settings .* no certificates"):
        run_sweep(sweep(), tmp_path / "other", scheduler=address, scheduler_timeout=5)
    with pytest.raises(SchedulerLost, match="no Dask scheduler answers at tcp://"):
        run_sweep(sweep(), tmp_path / "other", scheduler=address.replace("tls", "tcp"), scheduler_timeout=2)


def test_an_open_address_is_told_and_a_closed_one_is_not(monkeypatch):
    from pyflossing.sweeps import cluster

    class Client:
        def get_executor(self, pure):
            return None

    monkeypatch.setattr(cluster, "_client", lambda address, timeout: Client())
    for address, is_open in (
        ("tcp://10.0.0.1:8786", True),
        ("node1:8786", True),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://localhost:8786", False),
        ("tcp://[::1]:8786", False),
        ("tls://node1:8786", False),
    ):
        assert ("anyone who can reach" in cluster.DaskPool(address, 1).notice) == is_open
