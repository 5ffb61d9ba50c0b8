# `make parity` and `make test` do everything, set-up included, in a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: parity kernels test lint bench record clean

parity: $(VENV)/ready
	$(BIN)/python -m parity

# The report under the numerical kernels of other CPUs, about half an hour.
kernels: $(VENV)/ready
	$(BIN)/python -m parity kernels

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready
	$(BIN)/python tests/benchmarks/table.py

# New transcripts for machines without Julia; needed whenever a Julia source changes.
record: $(VENV)/ready
	$(BIN)/python -m parity record

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "pyflossing needs Python 3.10 or later; name one with 'make PYTHON=...'" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module is incomplete: 'apt-get install python3-venv' mends that on Debian" >&2; exit 1; }
	$(BIN)/python -m pip --disable-pip-version-check install --quiet -r requirements.lock
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf $(VENV) dist parity-report .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
