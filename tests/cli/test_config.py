"""Claims about ``pyflossing config`` and ``legacy``: templates, conversions, the 33 values."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from cli.program import typed

from pyflossing import (
    AdaptiveSchedule,
    BinaryNetwork,
    Flossing,
    SpikingNetwork,
    TanhNetwork,
    TrainingConfig,
    TrainingResult,
    train,
)
from pyflossing.config.legacy import LEGACY_PARAMETERS
from pyflossing.config.template import ALTERNATIVES, SETTINGS, UNSET, template

README = (
    "80 3001 100 500 500 2 16 1 300 55 300 1 1 1 1 0.001 0.9 0.999 1 1.0 0.0 1.0 10 1.0 0.0 1.0 0.0 0.1 0.0 75 -1 3 0.0"
)
SMALL = "5 6 2 3 4 2 2 1 6 14 16 1 -7 1 1 0.001 0.9 0.999 1 1.0 -0.5 1.0 1 1.0 -1e-3 1.0 0.0 0.1 0.0 3 -1 3 -.25"
NUMBERS = tuple(float(word) if re.search(r"[.e]", word) else int(word) for word in SMALL.split())


def keys(settings, path=""):
    for name, value in settings.items():
        yield from keys(value, f"{path}{name}.") if isinstance(value, dict) else [path + name]


def test_the_template_is_the_default_configuration_with_every_setting_explained(run):
    code, out, _ = run("config")
    assert code == 0
    assert TrainingConfig.from_toml(out) == TrainingConfig()
    lines = out.splitlines()
    settings = [i for i, line in enumerate(lines) if re.match(r"\w+ = ", line)]
    assert len(settings) == len(list(keys(TrainingConfig().to_dict())))
    for i in settings:
        assert re.fullmatch(r"# \S.*: \S.*", lines[i - 1]), lines[i]


def test_the_template_names_every_legacy_parameter_that_has_a_setting(run):
    _, out, _ = run("config")
    for parameter in LEGACY_PARAMETERS:
        if parameter.field and parameter.field != "task":
            name = parameter.field.rsplit(".", maxsplit=1)[-1]
            assert re.search(rf"\[{parameter.name}\]: .*\n{name} = ", out), parameter


def test_the_templates_alternatives_load_and_are_what_they_say():
    for section, alternatives in ALTERNATIVES.items():
        blocks = re.findall(rf"# in place of \[{section}\](.*):\n((?:#.*\n)+)", template())
        assert len(blocks) == len(alternatives)
        for (head, block), alternative in zip(blocks, alternatives, strict=True):
            found = TrainingConfig.from_toml(re.sub(r"^# ?", "", block, flags=re.MULTILINE))
            for name in section.split("."):
                found = getattr(found, name)
            assert found == alternative
            default = TrainingConfig()
            for name in section.split("."):
                default = getattr(default, name)
            assert ("what is left out is as above" in head) == (type(alternative) is type(default))


def test_a_setting_that_the_defaults_leave_out_stands_in_the_template_as_a_comment():
    for section, settings in UNSET.items():
        for name, value in settings.items():
            text, uncommented = re.subn(rf"^# ({name} = )", r"\1", template(), flags=re.MULTILINE)
            found = getattr(TrainingConfig.from_toml(text), section)
            assert (uncommented, getattr(found, name)) == (1, value)
            assert name not in TrainingConfig().to_dict()[section]


def test_what_is_left_out_of_a_commented_section_of_another_kind_is_as_it_is_shown():
    for block in re.findall(r"# in place of \[[\w.]+\] and what is within it:\n((?:#.*\n)+)", template()):
        lines = re.sub(r"^# ?", "", block, flags=re.MULTILINE).splitlines()
        shown = TrainingConfig.from_toml("\n".join(lines))
        for i, line in enumerate(lines):
            if "=" in line and not line.startswith("kind"):
                shorter = "\n".join(lines[:i] + lines[i + 1 :])
                try:
                    found = TrainingConfig.from_toml(shorter)
                except ValueError as error:  # what has no default is asked for
                    assert "missing" in str(error)
                else:
                    assert found == shown, line


# for each range that the template states in words of its own: what lies within, and what just outside
RANGES = {
    "dtype": (["float32", "float64"], ["float16"]),
    "network.kind": ([], ["relu"]),
    "network.synaptic_decay": ([0, 0.99], [1, -0.1]),
    "network.membrane_decay": ([0, 0.99], [1, -0.1]),
    "network.membrane_gain": ([-1.0, 1e300], [float("inf")]),
    "network.threshold": ([-1.0, 1e300], [float("nan")]),
    "network.jacobian_surrogate.name": (["sech2", "arctan"], ["sech"]),
    "network.jacobian_surrogate.sharpness": ([1e-300], [0]),
    "network.spike_surrogate.name": (["gaussian", "triangular", "sigmoid"], ["boxcar"]),
    "network.spike_surrogate.sharpness": ([1e-300], [0]),
    "network.jacobian_reset": (["none", "factor"], ["full"]),
    "weights.coupling": (["gaussian", "orthogonal"], ["sparse"]),
    **{
        f"weights.{name}": ([-3e38, 3e38], [4e38])
        for name in ("gain", "mean_coupling", "input_spread", "input_mean", "readout_spread", "readout_mean")
    },
    "weights.bias_spread": ([-3e38], [4e38]),
    "weights.bias_mean": ([3e38], [4e38]),
    "task.kind": ([], ["xor"]),
    "task.delay": ([1], [0, 1.5]),
    "task.levels": ([1, 2], [0, 63]),
    "task.scoring": (["full", "early"], ["late"]),
    "trials.n_steps": ([21], [20]),
    "trials.offset": ([-3e38, 0], [4e38, float("inf")]),
    "optimiser.clip_norm": ([1e-30, float("inf")], [0]),
    "seeds.inputs": ([-(2**63) // 3002, 2**63 // 3002], [0, 2**63]),
    "flossing.n_exponents": ([0, 80], [81, -1]),
    "flossing.n_steps": ([13, 300], [12]),
    "flossing.trial_steps": ([55], [54]),
    "flossing.clip_norm": ([1e-30, float("inf")], [0]),
    "flossing.n_trials": ([1, 20], [0]),
    "flossing.learning_rate": ([-3e38, 0, 0.003], [4e38, float("inf")]),
    "flossing.schedule.kind": ([], ["never"]),
}


def test_the_stated_ranges_are_those_that_hold():
    assert RANGES.keys() == SETTINGS.keys()
    for place, (within, outside) in RANGES.items():
        *path, name = place.split(".")
        for value, fits in [(v, True) for v in within] + [(v, False) for v in outside]:
            settings = TrainingConfig().to_dict()
            table = settings
            for part in path:
                table = table[part]
            table[name] = value
            if place == "flossing.n_steps":
                settings["flossing"]["trial_steps"] = max(300, value)
            text = "\n".join(_toml(settings))
            if fits:
                TrainingConfig.from_toml(text)
            else:
                with pytest.raises(ValueError, match=rf"{name} = "):
                    TrainingConfig.from_toml(text)


def _toml(settings, path=""):
    from pyflossing._support.toml import toml_value

    if path:
        yield f"[{path}]"
    yield from (f"{name} = {toml_value(value)}" for name, value in settings.items() if not isinstance(value, dict))
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _toml(value, f"{path}.{name}" if path else name)


def test_a_legacy_call_becomes_toml_and_comes_back(run, tmp_path):
    code, out, err = run("config", "--from-legacy", *SMALL.split(), "--network", "binary", "--dtype", "float64")
    assert (code, err) == (0, "")
    expected = TrainingConfig.from_legacy(*NUMBERS, network="binary", dtype="float64")
    assert TrainingConfig.from_toml(out) == expected
    (tmp_path / "a.toml").write_text(out)
    code, out, err = run("config", "--to-legacy", "a.toml")
    assert tuple(json.loads(f"[{out}]")) == expected.to_legacy()
    assert err == "pyflossing: not among the values: --network binary --dtype float64\n"
    said = json.loads(run("config", "--to-legacy", "a.toml", "--json")[1])
    assert TrainingConfig.from_legacy(*said["values"], network=said["network"], dtype=said["dtype"]) == expected
    code, again, _ = run("config", "--from-legacy", out.strip(), "--network", "binary", "--dtype", "float64")
    assert TrainingConfig.from_toml(again) == expected


def test_the_readmes_call_is_the_default_configuration(run):
    assert TrainingConfig.from_toml(run("config", "--from-legacy", *README.split())[1]) == TrainingConfig()


def test_constants_without_a_legacy_form_are_told(run, tmp_path):
    TrainingConfig(network=SpikingNetwork.published()).save(tmp_path / "a.toml")
    code, _, err = run("config", "--to-legacy", "a.toml")
    assert code == 0
    assert "the network's constants differ from the default ones of 'spiking'" in err
    TrainingConfig(flossing=Flossing(schedule=AdaptiveSchedule(1.0, 1, 1))).save(tmp_path / "b.toml")
    code, out, err = run("config", "--to-legacy", "b.toml")
    assert (code, out) == (2, "")
    assert "flossing.schedule = AdaptiveSchedule" in err


@pytest.mark.parametrize("kind", [TanhNetwork, BinaryNetwork])
def test_legacy_runs_the_33_values_with_negative_ones_and_goes_on_when_called_again(run, tmp_path, kind):
    name = kind().kind
    code, out, err = run("legacy", *SMALL.split(), "--network", name, "--json")
    assert (code, err) == (0, "")
    folder = tmp_path / json.loads(out)["folder"]
    config = TrainingConfig.from_legacy(*NUMBERS, network=name)
    assert TrainingResult.load(folder / "result.npz").same_numbers(train(config))
    # pasted from a call, with commas
    assert run("legacy", *SMALL.replace(" ", ", ").split(), "--network", name)[1].startswith(
        f"{folder.relative_to(tmp_path)} holds the finished run"
    )
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_the_legacy_call_works_as_it_is_typed_in_a_shell(tmp_path):
    command = typed(f"pyflossing legacy {SMALL} -o run -q")
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "run" / "result.npz").exists()


WRONG = [
    ("80 3001", "33 values are needed, not 2: N E Ef "),
    (SMALL + " 1", "33 values are needed, not 34: N E Ef "),
    (SMALL.replace("5 6", "5 six", 1), "E = 'six' is not allowed: it must be a number"),
    (SMALL.replace("5 6", "5.5 6", 1), "N = 5.5 is not allowed: it must be an integer"),
    (SMALL.replace("5 6", "-5 6", 1), "N = -5 is not allowed: it must be an integer >= 1"),
    (SMALL.replace("0.001", "nan", 1), "lr = nan is not allowed: "),
    (SMALL + " --network relu", "network = 'relu' is not allowed: it must be one of 'tanh', 'binary', 'spiking'"),
    (SMALL + " --dtype f2", "dtype = 'f2' is not allowed: "),
    (SMALL + " --netwrk tanh", "there is no option --netwrk"),
]


@pytest.mark.parametrize("command", [["legacy"], ["config", "--from-legacy"]])
@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_values_are_named(run, tmp_path, command, words, message):
    code, out, err = run(*command, *words.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"pyflossing: {message}")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_contradicting_options_are_refused(run):
    assert run("config", "--from-legacy", "--to-legacy", "a.toml")[0] == 2
    assert run("config", "3") == (2, "", "pyflossing: '3' is not expected here; values follow --from-legacy\n")
    assert run("config", "--to-legacy", "a.toml") == (2, "", "pyflossing: there is no file a.toml\n")
