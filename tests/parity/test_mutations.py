"""The report fails when one thing in the port is wrong: each mutation is found by the checks that should find it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from parity.checks import all_checks
from parity.report import Report
from parity.runner import run_checks, select
from pyflossing.julia_random import _dsfmt, _logarithm, _mersenne_twister, _xoroshiro, _ziggurat
from pyflossing.legacy import task
from pyflossing.model import tasks, weights

_ONE = np.uint64(1)
_trial_data, _bits = tasks._trial_data, _xoroshiro.bits_from_words
_tables, _normals = _ziggurat.tables, _ziggurat.normals


def _late_by_one(bits, targets, delay, amplitude):
    return _trial_data(bits, np.roll(targets, 1, axis=0), delay, amplitude)


def _row_major(words, shape):
    return np.ascontiguousarray(_bits(words, shape).ravel(order="F").reshape(shape))


def _one_limit_lower():
    found = _tables()
    return found._replace(limits=np.where(np.arange(256) == 100, found.limits // 2, found.limits))


def _one_ulp(words):
    values, rejected = _normals(words)
    return np.nextafter(values, np.inf), rejected


def patch(target: object, name: str, value: object) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda monkeypatch: monkeypatch.setattr(target, name, value)


MUTATIONS = {
    "float cache of 1000": (patch(_mersenne_twister, "_FLOAT_CACHE", 1000), "sequence"),
    "integer cache of 500": (patch(_mersenne_twister, "_INT_CACHE", 500), "integers_from"),
    "direct fills from 384 words": (patch(_mersenne_twister, "_MIN_DIRECT", 384), "direct_fill"),
    "bulk normals from 14": (patch(_mersenne_twister, "_MIN_BULK_NORMALS", 14), "normals_in_bulk"),
    "one bit of the Float32 mask": (
        patch(_mersenne_twister, "_FLOAT32_MASK", _mersenne_twister._FLOAT32_MASK ^ _ONE),
        "rand_f32",
    ),
    "one bit of dSFMT's mask": (patch(_dsfmt, "_MASKS", _dsfmt._MASKS ^ _ONE), "dsfmt"),
    "dSFMT shifts by 18": (patch(_dsfmt, "_SHIFT_LEFT", np.uint64(18)), "golden/rand_f64"),
    "seeding fills with 8c": (patch(_dsfmt, "_SEED_FILL", 0x8B8B8B8C), "golden/rand_f64"),
    "one strip of the ziggurat": (patch(_mersenne_twister, "normals", _one_ulp), "golden/randn_f64"),
    "one limit of the ziggurat": (patch(_ziggurat, "tables", _one_limit_lower), "golden/randn"),
    "tail starts an ulp later": (
        patch(_ziggurat, "TAIL_START", np.nextafter(_ziggurat.TAIL_START, 4)),
        "normals_in_bulk",
    ),
    "Xoroshiro drops one step": (patch(_xoroshiro, "_DROPPED_STEPS", 1), "task/golden"),
    "Xoroshiro multiplier": (patch(_xoroshiro, "_MULTIPLIER", _xoroshiro._MULTIPLIER + 2), "task/golden"),
    "target late by one step": (patch(tasks, "_trial_data", _late_by_one), "task/golden/data"),
    "bits filled row-major": (patch(_xoroshiro, "bits_from_words", _row_major), "task/golden/data"),
    "S = 2 admitted": (
        patch(task, "require_integer", lambda name, value, *_, **__: 1 if name == "S" else value),
        "refusals",
    ),
    "offset one ulp off": (patch(weights, "OFFSET", np.nextafter(np.float32(0.001), 1)), "weights/golden/ws"),
    "orthogonal factor 1e-3 off": (
        patch(weights, "_orthogonal_factor", lambda matrix: np.float32(1.001) * np.linalg.qr(matrix).Q),
        "J_orthogonal",
    ),
    "square root of N + 1": (
        patch(weights, "math", type("shifted", (), {"sqrt": staticmethod(lambda n: (n + 1) ** 0.5)})),
        "J_gaussian",
    ),
}


@pytest.fixture
def fresh_caches():
    """Seeded states and tables are remembered between calls; a mutation must not live on in them."""
    caches = (_dsfmt.initial_state, _ziggurat._table_lists, _logarithm._table)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def _report(julia, pattern):
    return Report(run_checks(select(all_checks(), [pattern]), julia), {})


@pytest.mark.julia
@pytest.mark.parametrize("title", MUTATIONS)
def test_report_fails_on(title, monkeypatch, fresh_caches, julia):
    mutate, pattern = MUTATIONS[title]
    mutate(monkeypatch)
    report = _report(julia, pattern)
    assert report.exit_code == 1
    assert report.counts["failed"] > 0


@pytest.mark.julia
def test_report_passes_without_a_mutation(julia):
    for pattern in sorted({pattern for _, pattern in MUTATIONS.values()}):
        assert _report(julia, pattern).exit_code == 0, pattern
