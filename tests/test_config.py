"""Claims about the typed configuration, its legacy form and its files."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from network_cases import networks

from pyflossing import (
    Adam,
    AdaptiveSchedule,
    BinaryNetwork,
    DelayedCopy,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    Seeds,
    SpikingNetwork,
    Surrogate,
    TanhNetwork,
    TrainingConfig,
    Trials,
    WeightDistribution,
    trainRNNflossing,
    trainSRNNflossing,
)
from pyflossing.config.legacy import LEGACY_PARAMETERS

# fmt: off
README_CALL = (
    80, 3001, 100, 500, 500, 2, 16, 1, 300, 55, 300, 1, 1, 1, 1, 0.001, 0.9, 0.999, 1, 1.0, 0.0, 1.0, 10,
    1.0, 0.0, 1.0, 0.0, 0.1, 0.0, 75, -1, 3, 0.0,
)
# fmt: on
NAMES = [parameter.name for parameter in LEGACY_PARAMETERS]

finite = st.floats(-1e6, 1e6)
small = st.integers(0, 5)
seeds = st.integers(0, 2**63 - 1)
periodic = st.builds(FlossingSchedule, small, small, st.integers(1, 5), small)
adaptive = st.builds(
    AdaptiveSchedule,
    st.floats(1e-9, 1e3),
    small,
    small,
    small,
    st.integers(1, 9),
    st.sampled_from([1e4, math.inf]),
)
weights = st.builds(
    WeightDistribution, st.sampled_from(["gaussian", "orthogonal"]), finite, finite, finite, finite, finite, finite
)
tasks = st.one_of(
    st.builds(DelayedXOR, st.integers(1, 9), st.integers(1, 3), st.sampled_from(["full", "early"])),
    st.builds(DelayedCopy, st.integers(0, 9)),
)
usual_clip_norm = st.just(0.03)
no_clip_norm = st.just(math.inf)
clip_norms = st.sampled_from([0.03, 1e-5, math.inf])
no_rate = st.none()
decay = st.floats(0, 1, exclude_max=True)


@st.composite
def configs(
    draw, schedules=periodic, training_clip_norms=usual_clip_norm, flossing_clip_norms=no_clip_norm, rates=no_rate
):
    task = draw(tasks)
    network = draw(st.one_of(networks, st.just(SpikingNetwork.per_step())))
    n_units = draw(st.integers(1, 9))
    spectrum_steps = draw(st.integers(13, 20))
    return TrainingConfig(
        network=network,
        n_units=n_units,
        weights=draw(weights),
        task=task,
        trials=Trials(draw(st.integers(1, 4)), task.first_scored_step + draw(st.integers(1, 5)), draw(finite)),
        flossing=Flossing(
            draw(st.integers(0, n_units)),
            draw(finite),
            spectrum_steps,
            spectrum_steps + draw(small),
            draw(schedules),
            draw(flossing_clip_norms),
            learning_rate=draw(rates),
        ),
        optimiser=Adam(draw(finite), draw(decay), draw(decay), draw(training_clip_norms)),
        seeds=Seeds(draw(seeds), draw(st.integers(1, 2**50)), draw(seeds), draw(seeds)),
        n_epochs=draw(st.integers(0, 6)),
        dtype=draw(st.sampled_from(["float32", "float64"])),
        intype=draw(st.integers(-3, 3)),
    )


def _changed(name, value):
    return tuple(value if name == known else old for known, old in zip(NAMES, README_CALL, strict=True))


def test_the_defaults_are_the_readme_call():
    assert TrainingConfig.from_legacy(*README_CALL) == TrainingConfig()
    assert TrainingConfig().to_legacy() == README_CALL
    assert TrainingConfig.from_legacy(**dict(zip(NAMES, README_CALL, strict=True))) == TrainingConfig()


@given(config=configs())
def test_legacy_round_trip(config):
    values = config.to_legacy()
    assert len(values) == 33
    assert TrainingConfig.from_legacy(*values, network=config.network, dtype=config.dtype) == config
    assert TrainingConfig.from_legacy(*values, network=config.network).to_legacy() == values


@given(config=configs(st.one_of(periodic, adaptive), clip_norms, clip_norms, st.none() | finite))
def test_toml_round_trip(config):
    assert TrainingConfig.from_toml(config.to_toml()) == config


def test_a_file_of_settings_round_trips_and_its_errors_name_it(tmp_path):
    path = tmp_path / "run.toml"
    TrainingConfig().save(path)
    assert TrainingConfig.load(path) == TrainingConfig()
    path.write_text("n_units = 0\n")
    with pytest.raises(ValueError, match=r"run.toml: n_units = 0 is not allowed"):
        TrainingConfig.load(path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.toml"]


def test_toml_that_leaves_things_out_has_the_defaults():
    text = '[network]\nkind = "binary"\n[task]\nkind = "delayed_xor"\ndelay = 5\n'
    assert TrainingConfig.from_toml(text) == replace(TrainingConfig(), network=BinaryNetwork(), task=DelayedXOR(5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[network]\nkind = "spiking"', {}),
        ("[network]\nthreshold = 0.7", {"threshold": 0.7}),
        ('[network]\njacobian_reset = "factor"', {"jacobian_reset": "factor"}),
        (
            '[network]\nkind = "spiking"\nsynaptic_decay = 0.8\nmembrane_decay = 0.9\nmembrane_gain = 0.1',
            {"synaptic_decay": 0.8, "membrane_decay": 0.9, "membrane_gain": 0.1},
        ),
        (
            '[network.jacobian_surrogate]\nname = "sech2"\n[network.spike_surrogate]\nsharpness = 3',
            {"jacobian_surrogate": Surrogate("sech2", 1.0), "spike_surrogate": Surrogate("fast_sigmoid", 3.0)},
        ),
    ],
)
def test_what_a_file_leaves_out_of_a_spiking_network_is_as_in_the_default_configuration(text, expected):
    network = TrainingConfig.from_toml(text).network
    assert network == replace(SpikingNetwork.per_step(), **expected)
    assert TrainingConfig.from_toml(TrainingConfig.from_toml(text).to_toml()).network == network


def test_the_published_jacobian_is_written_as_before_there_was_a_choice():
    """Folders of runs are compared by these bytes, and named after them."""
    assert "jacobian_reset" not in TrainingConfig().to_toml()
    assert TrainingConfig.from_toml('[network]\njacobian_reset = "none"').to_toml() == TrainingConfig().to_toml()


def test_a_section_without_its_kind_has_that_of_the_default_configuration():
    config = TrainingConfig.from_toml("[flossing.schedule]\nbefore = 3\n[task]\ndelay = 5")
    assert config.flossing.schedule == FlossingSchedule(before=3)
    assert config.task == DelayedXOR(5)
    assert TrainingConfig.from_toml('[task]\nkind = "delayed_xor"') == TrainingConfig()


def test_a_section_of_another_kind_has_that_kinds_own_defaults():
    text = '[network]\nkind = "binary"\n[network.surrogate]\nsharpness = 0.5'
    assert TrainingConfig.from_toml(text).network == BinaryNetwork(Surrogate("sech2", 0.5))
    text = '[flossing.schedule]\nkind = "adaptive"\nthreshold = 0.1\nepisode = 4\nn_episodes = 2'
    assert TrainingConfig.from_toml(text).flossing.schedule == AdaptiveSchedule(0.1, 4, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_units =", "this is not TOML"),
        ("units = 3", "units is not a setting; the top level has n"),
        ("n_units = 1.5", "n_units = 1.5 is not allowed"),
        ("n_units = true", "n_units = True is not allowed"),
        ("trials = 3", "trials = 3 is not allowed: it must be a table"),
        ("[trials]\nsteps = 3", "trials.steps is not a setting"),
        ("[trials]\nbatch_size = 0", "trials.batch_size = 0 is not allowed"),
        ("[network]\nsharpness = 1", "network.sharpness is not a setting; network of kind spiking has syn"),
        ('[network]\nkind = "lstm"', "network.kind = 'lstm' is not allowed"),
        ('[task]\nkind = "delayed_copy"', "task: .*missing"),
        ('[network]\nkind = "binary"\n[network.surrogate]\nname = "x"\nsharpness = 1', "network.surrogate.name = 'x'"),
        ('[weights]\ncoupling = "sparse"', "weights.coupling = 'sparse' is not allowed"),
        ('[task]\nkind = "delayed_xor"\ndelay = 0', "task.delay = 0 is not allowed"),
        ("[optimiser]\nclip_norm = -1", "optimiser.clip_norm = -1"),
        ("[flossing]\nclip_norm = 0.0", "flossing.clip_norm = 0.0"),
        (
            '[flossing.schedule]\nkind = "adaptive"\nthreshold = 0.1\nepisode = 1\nn_episodes = 1\nceiling = 0.1',
            "flossing.schedule.ceiling = 0.1 is not allowed: it must be > threshold",
        ),
        ("[flossing]\nn_exponents = 81", "flossing.n_exponents = 81 is not allowed"),
    ],
)
def test_bad_toml_is_refused_by_name(text, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig.from_toml(text)


_INTEGERS = [p.name for p in LEGACY_PARAMETERS if p.kind is int]
_FLOATS = [p.name for p in LEGACY_PARAMETERS if p.kind is float]


@given(name=st.sampled_from(_INTEGERS), value=st.sampled_from([True, 1.5, "1", None, float("nan")]))
def test_integers_must_be_integers(name, value):
    with pytest.raises(ValueError, match=f"^{name} = .* is not allowed: "):
        TrainingConfig.from_legacy(*_changed(name, value))


@given(name=st.sampled_from(_FLOATS), value=st.sampled_from([math.nan, math.inf, -math.inf, 1e39, "1", None, True]))
def test_floats_must_be_finite_in_float32(name, value):
    with pytest.raises(ValueError, match=f"^{name} = .* is not allowed: "):
        TrainingConfig.from_legacy(*_changed(name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("N", "B", "T", "Tp", "Ti", "Ef") for value in (0, -1)),
        *((name, -1) for name in ("E", "Ei", "Ep", "Ni", "nLE", "sIC", "sNet", "sONS", "delay")),
        *((name, 2**63) for name in ("sIC", "sIn", "sNet", "sONS")),
        ("S", 2),
        ("S", 0),
        ("T", 20),
        ("Ti", 54),
        ("nLE", 81),
        ("Tp", 12),
        ("IC", 2),
        ("delay", 0),
        ("sIn", 0),
        ("sIn", -1),
        ("sIn", 2**62),
        ("b1", 1.0),
        ("b2", -0.1),
        ("task", 63),
    ],
)
def test_values_out_of_range_are_refused_by_their_legacy_name(name, value):
    values = _changed(name, value)
    for call in (TrainingConfig.from_legacy, trainSRNNflossing, trainRNNflossing):
        with pytest.raises(ValueError, match=rf"^{name} = {value} is not allowed: "):
            call(*values)


def test_a_task_that_does_not_exist_is_named_rather_than_the_delay_that_it_would_need():
    values = dict(zip(NAMES, README_CALL, strict=True)) | {"task": -63, "delay": 0}
    with pytest.raises(ValueError, match=r"^task = -63 is not allowed: "):
        trainSRNNflossing(**values)


def test_the_state_s_size_limits_the_exponents():
    published = SpikingNetwork.published()
    assert TrainingConfig.from_legacy(*_changed("nLE", 160), network=published).flossing.n_exponents == 160
    for values, network in ((_changed("nLE", 161), published), (_changed("nLE", 81), "tanh")):
        with pytest.raises(ValueError, match=r"^nLE = \d+ is not allowed: it must be at most"):
            TrainingConfig.from_legacy(*values, network=network)


@pytest.mark.parametrize(
    "changes",
    [
        {"nLE": 0, "Tp": 5},
        {"Ep": 0, "Ni": 0, "Tp": 5},
        {"Ep": 0, "Ei": 0, "Tp": 5},
        {"E": 0, "Tp": 12},
        {"E": 99, "Ep": 0, "Tp": 12},
        {"task": 0, "delay": 0},
        {"gbar": 3.0, "IC": 3},
        {"intype": -7},
        {"sIn": -2},
        {"task": 2},
        {"b1": 0},
        {"lr": 0},
        {"N": np.int64(80), "lr": np.float32(0.001)},
    ],
    ids=str,
)
def test_what_the_original_allows_is_legal(changes):
    values = tuple(changes.get(name, old) for name, old in zip(NAMES, README_CALL, strict=True))
    assert TrainingConfig.from_legacy(*values).to_legacy() == values


@given(base=st.integers(-9, -1), epochs=st.integers(1, 6), schedule=st.one_of(periodic, adaptive))
def test_a_run_that_would_draw_from_seed_zero_is_refused(base, epochs, schedule):
    """Against a walk through all epochs; for an adaptive schedule every epoch may floss."""
    small_run = replace(
        TrainingConfig(), n_units=3, task=DelayedXOR(1), flossing=Flossing(2, 0.0, 13, 13, schedule), n_epochs=epochs
    )
    indices, episodes = set(), 0
    for epoch in range(1, epochs + 1):
        adaptive_run = isinstance(schedule, AdaptiveSchedule) and epoch > 1
        length = schedule.episode_length(epoch, episodes, 0.0, None)
        if adaptive_run:
            length = schedule.episode if schedule.n_episodes else 0
        elif length and epoch > 1:
            episodes += 1
        indices |= {epoch, *(epoch + i for i in range(1, length + 1))}
    drawn = {epochs * base + index for index in indices}
    try:
        replace(small_run, seeds=Seeds(inputs=base))
        refused = False
    except ValueError as error:
        assert str(error).startswith(f"seeds.inputs = {base} is not allowed")
        refused = True
    assert refused == (0 in drawn)


@pytest.mark.parametrize(
    "config",
    [
        replace(TrainingConfig(), optimiser=Adam(clip_norm=1.0)),
        replace(TrainingConfig(), flossing=Flossing(clip_norm=0.03)),
        replace(TrainingConfig(), flossing=Flossing(learning_rate=0.01)),
        replace(TrainingConfig(), flossing=Flossing(n_trials=2)),
        replace(TrainingConfig(), trials=Trials(offset=-0.5)),
        replace(TrainingConfig(), flossing=replace(Flossing(), schedule=AdaptiveSchedule(1e-3, 5, 2))),
    ],
)
def test_what_has_no_legacy_form_is_refused(config):
    with pytest.raises(ValueError, match="legacy form"):
        config.to_legacy()


def test_wrong_numbers_of_values_are_type_errors():
    for values, named in ((README_CALL[:-1], {}), ((*README_CALL, 1), {}), (README_CALL, {"N": 3}), ((), {"M": 1})):
        with pytest.raises(TypeError):
            TrainingConfig.from_legacy(*values, **named)


def test_rates_are_rounded_to_float32_at_use():
    assert Adam().learning_rate == 0.001
    assert Adam().rate == 0.0010000000474974513
    assert Adam().clip_threshold == 0.029999999329447746


@given(config=configs())
@settings(max_examples=25)
def test_every_valid_legacy_call_runs_or_names_what_is_not_finite(config, monkeypatch):
    from pyflossing import NonFiniteError

    assume(config.flossing.n_exponents == 0 or config.n_units > 1)
    try:
        result = trainSRNNflossing(*config.to_legacy(), network=config.network, dtype=config.dtype, progress=False)
    except NonFiniteError as error:
        assert error.epoch is not None
    else:
        assert len(result.loss) == config.n_epochs
        assert result.config == config


def test_the_legacy_calls_print_and_return(capsys):
    values = tuple(
        {"N": 6, "E": 3, "Ep": 1, "Ei": 1, "Ef": 2, "B": 2, "T": 9, "delay": 2, "nLE": 2}.get(name, old)
        for name, old in zip(NAMES, README_CALL, strict=True)
    )
    seen = []
    result = trainRNNflossing(*values, callback=seen.append)
    assert result.config.network == TanhNetwork()
    assert len(seen) == 3 + 2
    assert "epoch 3/3  loss " in capsys.readouterr().out
    assert trainRNNflossing(*values, progress=False).same_numbers(result)
    assert capsys.readouterr().out == ""
    binary = trainSRNNflossing(*values, network="binary", dtype="float64", progress=False)
    assert binary.final["J"].dtype == np.float64
    own = BinaryNetwork(Surrogate("gaussian", 2.0))
    assert trainSRNNflossing(*values, network=own, progress=False).config.network == own


def test_the_table_of_parameters_in_the_documentation_is_complete():
    table = (Path(__file__).parents[1] / "docs" / "parameters.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| `")]
    found = [tuple(cell.strip() for cell in row) for row in rows]
    expected = [(f"`{p.name}`", f"`{p.field}`" if p.field else "", p.unit, p.meaning) for p in LEGACY_PARAMETERS]
    assert found == expected
