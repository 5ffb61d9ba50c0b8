"""The example of docs/sweeps.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from pyflossing.sweeps import Sweep

TEXT = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (file,) = re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    Path("quick.toml").write_text(file)
    exec(compile(code.replace("n_jobs=2", "n_jobs=1"), "docs/sweeps.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    jobs = Sweep.load("quick.toml").jobs
    assert len(jobs) == 2 * 2 * 2
    assert [line.split()[:3] for line in said[-8:]] == [[job.name, job.condition, str(job.at["delay"])] for job in jobs]
