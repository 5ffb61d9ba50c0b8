"""Claims about declared sweeps: their jobs, their TOML, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep_cases import SEEDS, sweep

from pyflossing import BinaryNetwork, FlossingSchedule, Seeds, TanhNetwork, TrainingConfig
from pyflossing.sweeps import Axis, Condition, Sweep

FILE = """
[base]
n_units = 5
n_epochs = 3
network = { kind = "binary", surrogate = { name = "sech2", sharpness = 0.5 } }
trials = { n_steps = 40 }
flossing = { n_exponents = 4 }

[conditions.flossing]

[conditions.no_flossing]
flossing.schedule = { before = 0, n_episodes = 0 }

[conditions.tanh]
"network.kind" = "tanh"
"flossing.n_exponents" = 2

[axes]
seed = { settings = ["seeds.network", "seeds.frame"], values = [1, [2, 7]] }
"task.delay" = [1, 3]

[axes.length]
settings = ["trials.n_steps"]
values = [20, 30]
"""


def test_every_condition_runs_at_every_point_with_its_own_name():
    jobs = Sweep.from_toml(FILE).jobs
    assert len(jobs) == 3 * 2 * 2 * 2
    assert [job.name for job in jobs[:4]] == [
        "flossing_seed1_delay1_length20",
        "no_flossing_seed1_delay1_length20",
        "tanh_seed1_delay1_length20",
        "flossing_seed1_delay1_length30",
    ]
    assert jobs[0].at == {"seed": 1, "delay": 1, "length": 20}
    last = jobs[-1]
    assert last.name == "tanh_seed2_delay3_length30"
    assert last.config.seeds == Seeds(network=2, frame=7)
    assert (last.config.task.delay, last.config.trials.n_steps, last.config.n_units) == (3, 30, 5)


def test_settings_go_into_tables_and_a_kind_exchanges_its_section():
    flossing, none, tanh = (job.config for job in Sweep.from_toml(FILE).jobs[:3])
    assert flossing.flossing.schedule == FlossingSchedule()
    assert none.flossing.schedule == FlossingSchedule(before=0, n_episodes=0)
    assert none.flossing.n_exponents == 4
    assert isinstance(none.network, BinaryNetwork)
    assert tanh.network == TanhNetwork()


settings = st.sampled_from(
    [
        ("n_epochs", st.integers(0, 9)),
        ("optimiser.learning_rate", st.floats(1e-9, 1e9)),
        ("weights.gain", st.floats(-9, 9).map(lambda x: x + 0.0)),  # -0.0 and 0.0 are equal, their names are not
        ("weights.coupling", st.sampled_from(["gaussian", "orthogonal"])),
        ("dtype", st.sampled_from(["float32", "float64"])),
        ("flossing.target", st.floats(-1, 1).map(lambda x: x + 0.0)),
        *((name, st.integers(0, 2**63 - 1)) for name in ("seeds.network", "seeds.frame", "seeds.initial_state")),
    ]
)
names = st.text("abcXYZ019_-", min_size=1, max_size=5)


@st.composite
def sweeps(draw):
    chosen = draw(st.lists(settings, min_size=1, max_size=6, unique_by=lambda one: one[0]))
    cut = draw(st.integers(0, len(chosen)))
    axes = []
    while chosen[cut:]:
        taken = draw(st.integers(1, len(chosen) - cut))
        together, chosen = chosen[cut : cut + taken], chosen[:cut] + chosen[cut + taken :]
        row = st.tuples(*(values for _, values in together))
        axes.append(
            Axis(
                draw(st.one_of(names, st.just(together[0][0].rsplit(".", maxsplit=1)[-1]))),
                tuple(name for name, _ in together),
                tuple(draw(st.lists(row, min_size=1, max_size=3, unique_by=lambda one: one[0]))),
            )
        )
    conditions = [
        Condition(name, {setting: draw(values) for setting, values in chosen[:cut] if draw(st.booleans())})
        for name in draw(st.lists(names, min_size=0 if axes else 1, max_size=3, unique_by=str.casefold))
    ]
    try:
        return Sweep(TrainingConfig(n_epochs=2), tuple(conditions), tuple(axes))
    except ValueError as error:
        # two conditions may draw the same settings, and two axes the same name
        assert re.search("have the same settings|another one is called", str(error)), error
        return sweep()


@given(sweeps())
def test_a_sweep_comes_back_from_its_toml(drawn):
    back = Sweep.from_toml(drawn.to_toml())
    assert back == drawn
    assert back.jobs == drawn.jobs
    assert back.to_toml() == drawn.to_toml()


def test_a_file_comes_back(tmp_path):
    sweep().save(tmp_path / "a.toml")
    assert Sweep.load(tmp_path / "a.toml") == sweep()
    with pytest.raises(FileNotFoundError):
        Sweep.load(tmp_path / "b.toml")
    (tmp_path / "b.toml").write_text("[base\n")
    with pytest.raises(ValueError, match=r"b\.toml: this is not TOML: .*line 1"):
        Sweep.load(tmp_path / "b.toml")


def test_a_part_of_a_sweep_keeps_its_order_and_refuses_what_is_not_there():
    whole = Sweep.from_toml(FILE)
    part = whole.select(conditions=["tanh", "flossing"], seed=[2], length=[30, 20])
    assert part.jobs == tuple(job for job in whole.jobs if job.at["seed"] == 2 and job.condition != "no_flossing")
    for wrong, said in (
        ({"conditions": ["none"]}, "conditions = 'none' is not allowed: it must be one of flossing, no_flossing, tanh"),
        ({"seeds": [1]}, "axes = 'seeds' is not allowed: it must be one of seed, delay, length"),
        ({"delay": [1, 2]}, "delay = 2 is not allowed: it must be one of 1, 3"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            whole.select(**wrong)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a sweep needs at least one condition or one axis"),
        ("[bases]", "bases is not a table of a sweep; it has base, conditions, axes"),
        ("base = 3", "base = 3 is not allowed: it must be a table"),
        ("[base]\nn_unit = 3", "base: n_unit is not a setting; the top level has network, n_units"),
        ("[base]\nn_units = 0", "base: n_units = 0 is not allowed: it must be an integer >= 1"),
        ("[conditions]\na = 1", "conditions.a = 1 is not allowed: it must be a table"),
        ("[conditions.a]\ntask.dleay = 1", "job a: task.dleay is not a setting; task of kind delayed_xor has delay, "),
        ('[conditions.a]\ntask.delay = 1\n"task.delay" = 2', "task.delay = 2 is not allowed: it must be given once"),
        ("[conditions.a]\ntask.delay = [1]", "conditions.a.task.delay = [1] is not allowed: it must be a string or a"),
        ("[conditions.a]\ntask.delay = nan", "conditions.a.task.delay = nan is not allowed"),
        ("[conditions.a]\ntask = 1", "job a: task = 1 is not allowed: it must be a table"),
        ('[conditions."a b"]', "conditions = 'a b' is not allowed: a name must be of letters, digits, _ and -"),
        ("[conditions.a]\n[conditions.A]", "conditions = 'A' is not allowed: another one is called a"),
        ("[conditions.a]\n[conditions.b]", "the jobs a and b have the same settings"),
        ("[axes]\nn_epochs = 3", "axes.n_epochs = 3 is not allowed: it must be a list of values, or a table"),
        ("[axes]\nn_epochs = []", "axes.n_epochs.values = [] is not allowed: it must have at least one value"),
        ("[axes]\nn_epochs = [1, 1]", "axes.n_epochs.values = 1 is not allowed: the first setting's values must"),
        ("[axes]\nn_epochs = [1, [2]]", "axes.n_epochs = [2] is not allowed: values of one setting must be"),
        ('[axes]\ndtype = ["a/b"]', "axes.dtype.values = 'a/b' is not allowed: a job's name is made of it"),
        ('[axes]\ndtype = ["float16"]', "job dtypefloat16: dtype = 'float16' is not allowed: it must be one of"),
        ('[axes]\na = { settings = ["dtype"] }', "axes.a.values = None is not allowed: it must be a list"),
        ('[axes]\na = { settings = ["dtype"], value = [] }', "axes.a.value is not a key of an axis; it has settings"),
        ("[axes]\na = { settings = [], values = [1] }", "axes.a.settings = [] is not allowed"),
        ('[axes]\na = { settings = ["x", ""], values = [1] }', "axes.a.settings = '' is not allowed: it must be the"),
        ('[axes]\na = { settings = ["n_epochs", "n_units"], values = [[1]] }', "a row must have 2 values"),
        ("[axes]\ntask.delay = [1]\nx.delay = [1]", "axes = 'delay' is not allowed: another one is called delay"),
        (
            '[axes]\nn_units = [1]\nb = { settings = ["n_units"], values = [1] }',
            "axes.b = 'n_units' is not allowed: the axis n_units gives it already",
        ),
        (
            "[conditions.a]\nn_units = 2\n[axes]\nn_units = [1]",
            "conditions.a = 'n_units' is not allowed: the axis n_units gives it already",
        ),
        (
            "[conditions.a]\ntask = { delay = 2 }\n[axes]\ntask = [1]",
            "task = 1 is not allowed: the same settings give values to settings within it",
        ),
    ],
)
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Sweep.from_toml(text)


def test_a_base_that_fits_no_point_names_the_job():
    with pytest.raises(ValueError, match=r"job delay30: trials\.n_steps = 50 is not allowed: it must exceed"):
        Sweep(
            replace(TrainingConfig(), trials=replace(TrainingConfig().trials, n_steps=50)),
            (),
            (Axis.of("task.delay", [3, 30]),),
        )
    assert Axis.together("seed", SEEDS, [4]).values == ((4, 4, 4),)
