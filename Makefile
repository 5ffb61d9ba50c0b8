# `make parity` and `make test` do everything, set-up included, in a fresh clone; `make docs` builds the site in site/.
# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes torch's CPU build, without several GB of CUDA.
PYTHON ?= python3
VENV ?= .venv
DOCS_VENV ?= .venv-docs
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check install
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
# The tests start some two hundred processes; without bytecode each of them would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: parity kernels test lint bench record docs clean

parity: $(VENV)/ready
	$(BIN)/python -m parity

# The report under the numerical kernels of other CPUs, about half an hour.
kernels: $(VENV)/ready
	$(BIN)/python -m parity kernels

# The linter and the type checker run beside the tests, and say at the end what they found.
test: $(VENV)/ready
	@said=$$(mktemp); $(MAKE) --no-print-directory lint > $$said 2>&1 & lint=$$!; \
	  $(BIN)/python -m pytest --numprocesses auto --dist loadgroup; tests=$$?; \
	  wait $$lint; lint=$$?; cat $$said; rm $$said; exit $$((tests | lint))

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready
	$(BIN)/python tests/benchmarks/table.py

# New transcripts for machines without Julia; needed whenever a Julia source changes.
record: $(VENV)/ready
	$(BIN)/python -m parity record

# The site needs no package of the project: docstrings are read, not imported.
docs: $(DOCS_VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --quiet --config-file docs/site/mkdocs.yml

define new_environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "pyflossing needs Python 3.10 or later; name one with 'make PYTHON=...'" >&2; exit 1; }
	@$(PYTHON) -m venv $(@D) || { rm -rf $(@D); \
	  echo "Python's venv module is incomplete: 'apt-get install python3-venv' mends that on Debian" >&2; exit 1; }
endef

$(VENV)/ready: requirements.lock pyproject.toml $(wildcard pyflossing/gradients/kernel/*.[ch] pyflossing/gradients/kernel/*build.py)
	$(new_environment)
ifdef TORCH_INDEX
	$(BIN)/python $(PIP) --no-deps --index-url $(TORCH_INDEX) $(shell grep '^torch==' requirements.lock)
endif
	$(BIN)/python $(PIP) --requirement requirements.lock
	$(BIN)/python $(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DOCS_VENV)/ready: docs/site/requirements.lock
	$(new_environment)
	$(DOCS_VENV)/bin/python $(PIP) --quiet --requirement $<
	@touch $@

clean:
	rm -rf $(VENV) $(DOCS_VENV) site dist parity-report .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
