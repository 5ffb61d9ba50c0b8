"""Small wrong changes of the kernel, as edits of its C sources, and the checks of the report that must find each."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from mutation import live

from pyflossing.gradients.kernel import build, library

_TRAINING = live("tanh", "gradients", "loss")
_RATES = _TRAINING + live("binary_gamma_1", "raster", "gradients", "loss")
_SPIKING = live("spiking_published", "gradients", "loss")
_FLOSSING, _FLOSSED_SPIKING = live("tanh", "flossing"), live("spiking_published", "flossing")
_MEMORYLESS = live("spiking_per_step", "flossing")


@dataclass(frozen=True)
class KernelMutation:
    """Replace ``old`` by ``new`` in a C source, and compile."""

    file: str
    old: str
    new: str
    found_by: tuple[str, ...]
    dtype: str = "float64"

    def apply(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        for source in [*library.FOLDER.glob("*.c"), *library.FOLDER.glob("*.h")]:
            shutil.copy(source, folder)
        text = (folder / self.file).read_text()
        assert text.count(self.old) == 1, f"{self.old!r} is {text.count(self.old)} times in {self.file}"
        (folder / self.file).write_text(text.replace(self.old, self.new))
        monkeypatch.setattr(build, "FOLDER", folder)
        monkeypatch.setattr(build, "ALWAYS", ["-O0", *build.ALWAYS[1:]])
        monkeypatch.setattr(build, "_variants", lambda: [(library.kind_of_cpu(), self.dtype)])
        monkeypatch.setattr(library, "FOLDER", folder)
        monkeypatch.setattr(library, "_SOURCES", build.fingerprint())
        assert build.build(folder)
        assert library.load(getattr(torch, self.dtype), library.kind_of_cpu())


def _mutations(file: str, found_by: tuple[str, ...], **edits: tuple[str, str]) -> dict[str, KernelMutation]:
    return {
        f"{file}: {title.replace('_', ' ')}": KernelMutation(file, old, new, found_by)
        for title, (old, new) in edits.items()
    }


KERNEL_MUTATIONS = {
    **_mutations(
        "vectors.h", _RATES + _SPIKING,
        tanh=("t / (t + 2)", "t / (t + 2.001)"),
        fast_sigmoid=("1 / ((1 + z) * (1 + z))", "1 / ((1 + z) * (1.001 + z))"),
        sech2=("y = 1 - y * y", "y = 1.001 - y * y"),
        products=("a * b[v]", "1.001 * a * b[v]"),
    ),
    **_mutations(
        "states.h", _RATES,
        bias=("+ load(bias + i)", "+ 1.001 * load(bias + i)"),
        inputs=("u += s[", "u += 1.001 * s["),
        readout=("= dot(next", "= 1.001 * dot(next"),
        offset=("load(r) + offset", "load(r) + 1.001 * offset"),
        first_scored_step=("i + m >= ignored", "i + m > ignored + B"),
        steps_with_gradients=("i + m < ignored ?", "i + m <= ignored + B ?"),
        cross_entropy=("log_of_one_plus(e) + t", "1.001 * log_of_one_plus(e) + t"),
        derivative=("small, large) - t)", "small, large) - 1.001 * t)"),
        slope_of_tanh=("(1 - a * a)", "(1.001 - a * a)"),
        readout_of_a_step=("states + (first + B) * ld", "states + first * ld"),
        recurrent=("J_rows, ld, back", "Jt_rows, ld, back".replace("Jt_rows", "J_sum")),
        ws=("= ws_sum[m * ld + i] / S", "= ws_sum[m * ld + i] * 1.001 / S"),
    ),
    **_mutations(
        "states.h", _SPIKING,
        alpha=("current = alpha *", "current = 1.001 * alpha *"),
        beta=("(beta * load(x + i) +", "(1.001 * beta * load(x + i) +"),
        reset=("(1 - load(a + i)));", "(1 - 0.999 * load(a + i)));"),
        gain_of_adjoints=("load(syn_bar + i) + c * q", "load(syn_bar + i) + 1.001 * c * q"),
        alpha_of_adjoints=("alpha * h_i", "1.001 * alpha * h_i"),
        beta_of_adjoints=("? beta * load(x_bar + i)", "? 1.001 * beta * load(x_bar + i)"),
        reset_of_adjoints=("q = (1 - load(a + i))", "q = (1 - 0.999 * load(a + i))"),
    ),
    **_mutations("adam.h", ("training/live/tanh_float64",), decay=("a->beta1 * (double)m", "0.9001 * (double)m")),
    **_mutations(
        "decompositions.h", _FLOSSING,
        solve_forward=("x -= R[h * ldk + j]", "x -= (REAL)1.001 * R[h * ldk + j]"),
        solve_backward=("h = j + 1;", "h = j + 2;"),
        reflection=("scales[j] = 1 / (length", "scales[j] = 1 / ((REAL)1.001 * length"),
        weights=("-= weights[j]", "-= (REAL)1.001 * weights[j]"),
        diagonal_tile=("i = j / ROWS * ROWS; i < j", "i = j; i < j"),
    ),
    **_mutations(
        "frames.h", _FLOSSING,
        transient=("n + 1 == c->blocks_from ||", ""),
        last_step=("|| n + 1 == c->T;", ";"),
        sums=("a * load(S + m * ld + i)", "a * load(S + m * ld + i) * 1.001"),
        gains=("a * load(gain + i));", "a);"),
        gain_of_tanh=("gain = 1 - rate * rate", "gain = 1.001 - rate * rate"),
        slope_of_gains=("-2 * rate * gain", "-2.002 * rate * gain"),
        logarithms=("LOGARITHM(ABSOLUTE(R[", "LOGARITHM((REAL)1.001 * ABSOLUTE(R["),
        exponents=("(REAL)(sum / counted)", "(REAL)(1.001 * sum / counted)"),
        derivative=("distance * 2 /", "distance * 2.002 /"),
    ),
    **_mutations(
        "frames.h", _FLOSSED_SPIKING,
        threshold=("- (REAL)c->threshold", "- (REAL)1.001 * (REAL)c->threshold"),
        step_of_gains=("after = c->network == SPIKING ? n - 1 : n", "after = n"),
        alpha=("S = load(A + i + ld) + alpha", "S = load(A + i + ld) + 1.001 * alpha"),
        beta=("beta * load(F + i)", "1.001 * beta * load(F + i)"),
        alpha_of_adjoints=("alpha * load(P_bar", "1.001 * alpha * load(P_bar"),
        beta_of_adjoints=("beta * (load(mem)", "1.001 * beta * (load(mem)"),
    ),
    **_mutations(
        "frames.h", _MEMORYLESS,
        gain=("whole : (REAL)c->membrane_gain", "whole : (REAL)1.001 * (REAL)c->membrane_gain"),
        gain_of_frames=("store(A + i, load(A + i) * load(factors + i))", "store(A + i, load(A + i))"),
        gain_of_adjoints=("? received\n", "? received * 1.001\n"),
        frame=("store(mem, load(gain + i) * e);", "store(mem, 1.001 * load(gain + i) * e);"),
    ),
    **_mutations(
        "frames.h", live("spiking_published_reset", "flossing"),
        reset=("(REAL)c->membrane_gain * S) * load(factors + i)", "(REAL)c->membrane_gain * S)"),
        reset_of_adjoints=("received = load(mem) * load(factor + i)", "received = load(mem)"),
        reset_of_frames=("beta * (load(mem) * load(factor + i))", "beta * load(mem)"),
    ),
    **_mutations(
        "frames.h", live("spiking_per_step_reset", "flossing"),
        scales=("where(kept > 0, all(whole), all(1))", "all(whole)"),
        reset_of_gains=("load(gains + ld + i) * (part * kept)", "load(gains + ld + i) * part"),
        gain_of_slopes=("load(slopes + ld + i) * (part * kept)", "load(slopes + ld + i) * kept"),
    ),
}  # fmt: skip
