"""Claims about sweeps that run on one machine: same numbers, failures, stopping, killing, going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import psutil
import pytest
from sweep_cases import assert_same_as_alone, needs_processes, run_at_work, sweep, wait_for, well_begun

from pyflossing import TrainingResult, train
from pyflossing.runs import FolderInUse, Stopped, train_in
from pyflossing.sweeps import Axis, Condition, JobsFailed, Sweep, SweepResults, SweepStopped, run_sweep

LONG = 1500  # epochs, half a second and more: time to be killed at work


def test_a_sweep_leaves_runs_and_a_summary_and_runs_nothing_twice(tmp_path):
    said = []
    results = run_sweep(sweep(), tmp_path / "new" / "sweep", n_jobs=1, progress=said.append)
    assert_same_as_alone(results)
    assert (said[-1].done, said[-1].total, said[-1].running, said[-1].failed) == (4, 4, 0, 0)
    assert [one.event for one in said if one.event] == [f"{job.name}: done" for job in sweep().jobs]
    folder = tmp_path / "new" / "sweep"
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "runs", "sweep.json", "sweep.toml"]
    job = json.loads((folder / "sweep.json").read_text())["jobs"][1]
    assert job.pop("seconds") > 0
    first = train(sweep().jobs[1].config)
    size, changed = job.pop("result")
    file = (folder / "runs" / "flossing_seed1" / "result.npz").stat()
    assert (size, changed) == (file.st_size, file.st_mtime_ns)
    assert job == {
        "name": "flossing_seed1",
        "condition": "flossing",
        "at": {"seed": 1},
        "folder": "runs/flossing_seed1",
        "state": "done",
        "error": None,
        "resumed": 0,
        "ensemble": False,
        "accuracy": first.accuracy.mean(),
        "loss": first.loss.mean(),
        "first_exponent": first.spectra[-1, 0],
    }
    assert results.table().splitlines()[2].startswith("flossing_seed1     done")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*")}
    assert_same_as_alone(run_sweep(sweep(), folder, n_jobs=2))
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*")} == before
    assert_same_as_alone(SweepResults.load(folder))


@needs_processes
def test_processes_give_the_same_numbers_and_one_that_dies_costs_its_job_nothing(tmp_path):
    victims = []

    def kill_one():
        victim, run = wait_for(
            lambda: [(one, run_at_work(one.pid)) for one in psutil.Process().children() if run_at_work(one.pid)]
        )[0]
        victim.kill()
        victims.append(run.name)

    said = []
    killer = threading.Thread(target=kill_one)
    killer.start()
    results = run_sweep(sweep(LONG), tmp_path, n_jobs=2, checkpoint_every=0.02, progress=said.append)
    killer.join()
    assert_same_as_alone(results)
    assert [one.event.split(":")[0] for one in said if "its process died" in one.event] == victims
    assert [name for name, report in results.reports.items() if report.resumed] == victims


def test_a_job_that_fails_is_told_at_the_end_and_the_others_run(tmp_path):
    diverging = Condition("diverging", {"weights.gain": 1e38})
    broken = replace(sweep(), conditions=(diverging, *sweep().conditions))
    for _ in range(2):  # the next call tries again
        with pytest.raises(JobsFailed, match="2 of 6 jobs failed:\n  diverging_seed1: NonFiniteError: ") as caught:
            run_sweep(broken, tmp_path, n_jobs=1)
    results = caught.value.results
    assert list(results.failed) == ["diverging_seed1", "diverging_seed2"]
    assert_same_as_alone(SweepResults.of(sweep(), tmp_path))
    assert SweepResults.load(tmp_path).failed == results.failed
    assert "diverging_seed1    failed" in results.table()


def test_a_damaged_run_is_named_and_the_others_run(tmp_path):
    with pytest.raises(Stopped):
        train_in(tmp_path / "runs" / "flossing_seed2", sweep().jobs[3].config, stop=lambda: True)
    (tmp_path / "runs" / "flossing_seed2" / "checkpoint.npz").write_bytes(b"garbage")
    with pytest.raises(JobsFailed, match=r"flossing_seed2: DamagedFileError: .*checkpoint\.npz is not a checkpoint"):
        run_sweep(sweep(), tmp_path, n_jobs=1)
    (tmp_path / "runs" / "flossing_seed2" / "checkpoint.npz").unlink()
    assert_same_as_alone(run_sweep(sweep(), tmp_path, n_jobs=1))


def test_a_stopped_sweep_says_so_and_goes_on_and_can_be_extended(tmp_path):
    part = sweep().select(seed=[1])
    with pytest.raises(SweepStopped, match=f"stopped with 0 of 2 jobs done; the same sweep in {tmp_path} goes on"):
        run_sweep(part, tmp_path, n_jobs=1, stop=lambda: True)
    assert {report.state for report in SweepResults.load(tmp_path).reports.values()} == {"waiting"}
    assert_same_as_alone(run_sweep(part, tmp_path, n_jobs=1))
    assert_same_as_alone(run_sweep(sweep(), tmp_path, n_jobs=1))


def test_an_error_of_the_caller_lets_runs_write_their_checkpoints(tmp_path):
    def fail(progress):
        if any(tmp_path.glob("runs/*/log.jsonl")):
            raise RuntimeError("the terminal is gone")

    with pytest.raises(RuntimeError, match="the terminal is gone"):
        run_sweep(sweep(100_000), tmp_path, n_jobs=1, progress=fail, checkpoint_every=1e9)
    assert list(tmp_path.glob("runs/*/checkpoint.npz"))
    assert not list(tmp_path.glob(".lease*"))


def test_a_folder_that_does_not_fit_is_refused_before_anything_runs(tmp_path):
    run_sweep(sweep().select(seed=[1], conditions=["flossing"]), tmp_path / "a", n_jobs=1)
    before = (tmp_path / "a" / "sweep.toml").read_bytes()
    with pytest.raises(ValueError, match="a/runs/flossing_seed1 holds a run of other settings than the sweep says"):
        run_sweep(sweep(7), tmp_path / "a", n_jobs=1)
    assert (tmp_path / "a" / "sweep.toml").read_bytes() == before
    assert len(list(tmp_path.glob("a/runs/*"))) == 1
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write: File exists: .*file"):
        run_sweep(sweep(), tmp_path / "file", n_jobs=1)
    with pytest.raises(OSError, match=r"cannot write: .*/proc/sweep"):
        run_sweep(sweep(), "/proc/sweep", n_jobs=1)
    for wrong, said in (
        ({"n_jobs": 0}, "n_jobs = 0 is not allowed: it must be a number of processes"),
        ({"n_jobs": 1.5}, "n_jobs = 1.5 is not allowed: it must be an integer"),
        ({"scheduler": ""}, "scheduler = '' is not allowed: it must be an address"),
        ({"checkpoint_every": -1}, "checkpoint_every = -1 is not allowed"),
    ):
        with pytest.raises(ValueError, match=said):
            run_sweep(sweep(), tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


def test_two_sweeps_cannot_run_in_one_folder_and_a_job_waits_for_its_folder(tmp_path):
    def second(progress):
        with pytest.raises(FolderInUse, match="another process is running in"):
            run_sweep(sweep(), tmp_path, n_jobs=1)

    job = sweep().jobs[0]
    held = threading.Event()

    def hold(record):
        held.set()
        time.sleep(0.1)

    other = threading.Thread(target=train_in, args=(tmp_path / "runs" / job.name, job.config, [hold]))
    other.start()
    held.wait()
    assert_same_as_alone(run_sweep(sweep(), tmp_path, n_jobs=1, progress=second))
    other.join()


def test_seeds_together_as_an_ensemble_give_the_same_to_rounding_and_say_so(tmp_path):
    exact = Sweep(replace(sweep().base, dtype="float64"), sweep().conditions, (Axis.of("seeds.network", [1, 2, 3, 4]),))
    results = run_sweep(exact, tmp_path, n_jobs=1, ensemble=True)
    assert [report.ensemble for report in results.reports.values()] == [True] * 6 + [False] * 2  # 3 of 4, and the last
    for job, result in results:
        alone = train(job.config)
        assert result.loss == pytest.approx(alone.loss, rel=1e-9), job.name
        assert result.final["J"] == pytest.approx(alone.final["J"], rel=1e-9), job.name
    assert results.table().count("done (ensemble)") == 6
    assert run_sweep(exact, tmp_path, n_jobs=1).reports == results.reports
    lines = (tmp_path / "runs" / "flossing_network1" / "log.jsonl").read_text().splitlines()
    assert len(lines) == 6 + len(TrainingResult.load(tmp_path / "runs" / "flossing_network1" / "result.npz").spectra)


def test_a_failing_member_of_an_ensemble_fails_alone(tmp_path):
    # so large that the second network's states overflow, and the first one's just do not
    base = replace(sweep().base, weights=replace(sweep().base.weights, gain=10**38.2))
    none = Condition("no_flossing", {"flossing.n_exponents": 0})
    both = Sweep(base, (none,), (Axis.of("seeds.network", [1, 2]),))
    with pytest.raises(JobsFailed, match="1 of 2 jobs failed:\n  no_flossing_network2: NonFiniteError") as caught:
        run_sweep(both, tmp_path, n_jobs=1, ensemble=True)
    assert not caught.value.results.reports["no_flossing_network1"].ensemble
    assert_same_as_alone(SweepResults.of(both.select(network=[1]), tmp_path))


PROGRAM = """
import sys
from pyflossing.sweeps import Sweep, SweepStopped, run_sweep
try:
    run_sweep(Sweep.load(sys.argv[1]), sys.argv[2], n_jobs=2, checkpoint_every=float(sys.argv[3]))
except SweepStopped as stopped:
    print(stopped)
"""


@pytest.fixture
def started(tmp_path):
    """A sweep in processes of their own, with jobs that are done and one that is well begun."""
    sweep(LONG).save(tmp_path / "sweep.toml")
    folder = tmp_path / "sweep"
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "sweep.toml"), str(folder), "0.02"]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: well_begun(folder / "runs" / "no_flossing_seed2"))
    yield process, folder
    process.kill()
    process.communicate()


@needs_processes
@pytest.mark.parametrize("whom", ["all processes", "the sweep alone"])
def test_a_killed_sweep_is_finished_later_bit_for_bit(started, whom):
    process, folder = started
    workers = psutil.Process(process.pid).children(recursive=True)
    if whom == "all processes":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()  # its workers notice, and stop
    process.wait()
    done = list(folder.glob("runs/*/result.npz"))
    assert done
    before = [path.stat().st_mtime_ns for path in done]
    results = run_sweep(sweep(LONG), folder, n_jobs=1)
    assert_same_as_alone(results)
    assert [path.stat().st_mtime_ns for path in done] == before
    assert results.reports["no_flossing_seed2"].resumed
    assert not psutil.wait_procs(workers, timeout=30)[1]


def test_a_killed_sweep_s_journal_says_what_its_summary_does_not_yet(tmp_path, monkeypatch):
    def fail(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(SweepResults, "save", lambda self: None)  # as if it were killed before it can write at its end
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep(), tmp_path, n_jobs=1, progress=fail)
    monkeypatch.undo()
    lines = (tmp_path / "sweep.jsonl").read_text().splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["done", "done"]
    with (tmp_path / "sweep.jsonl").open("a") as journal:
        journal.write('{"name": "fl')  # what it was writing
    monkeypatch.setattr(TrainingResult, "load", None)  # a sweep is told how it stands without any result being read
    states = [report.state for report in SweepResults.load(tmp_path).reports.values()]
    assert states[:2] == ["done", "done"]
    monkeypatch.undo()
    assert_same_as_alone(run_sweep(sweep(), tmp_path, n_jobs=1))
    assert not (tmp_path / "sweep.jsonl").exists()


def test_a_result_that_changed_since_is_read_again(tmp_path):
    run_sweep(sweep().select(seed=[1]), tmp_path, n_jobs=1)
    file = tmp_path / "runs" / "flossing_seed1" / "result.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"flossing_seed1/result\.npz is not a result of pyflossing"):
        SweepResults.load(tmp_path)


def test_a_sweep_is_not_put_among_other_files(tmp_path):
    (tmp_path / "sweep.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds files that are not a sweep's \(sweep\.json\)"):
        run_sweep(sweep(), tmp_path, n_jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def test_where_joblib_has_no_shared_memory_one_process_is_used_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("joblib._parallel_backends.mp", None)
    said = []
    results = run_sweep(sweep(), tmp_path, n_jobs=2, progress=said.append)
    assert_same_as_alone(results)
    assert [one.event for one in said if "shared memory" in one.event] == [
        "joblib finds no shared memory on this machine, so all jobs run in one process"
    ]
