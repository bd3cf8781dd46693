# Everything here works on a machine with python3 (3.11 or later), pip and make; each target says what it does.
PYTHON ?= python3
BIN := .venv/bin
CONSTRAINED := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1

.PHONY: help demo test check bench proof docs clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or later is needed; set PYTHON=path/to/python3"; exit 2; }
	$(PYTHON) -m venv .venv

# A stamp for each set of packages, so that the second time is quick.
.venv/.core: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing lookalike into .venv"
	@$(CONSTRAINED) $(BIN)/pip install -q -e .
	@touch $@

.venv/.test: .venv/.core
	@echo "installing what the tests need"
	@$(CONSTRAINED) $(BIN)/pip install -q -e '.[test]'
	@touch $@

.venv/.dev: .venv/.test
	@echo "installing what the checks need"
	@$(CONSTRAINED) $(BIN)/pip install -q -e '.[dev]'
	@touch $@

demo: .venv/.core  ## train a model of each branch on the embedded data; pictures and a report in runs/demo
	$(BIN)/python examples/demo.py

test: .venv/.test  ## run the tests (no network, under 12 minutes on two cores)
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered -q

check: .venv/.dev  ## what each commit must pass: style, types, import rules, the quick tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -x -m 'not slow and not proof'

bench: .venv/.test  ## speed beside what one would pick instead; figures in benchmarks/results
	$(BIN)/python -m benchmarks

proof: .venv/.test  ## the slow proofs: real training, and the figures of docs/results.md beside published ones; hours
	$(BIN)/python -m pytest -q -m proof --timeout 3600 -n 0
	$(BIN)/python docs/make.py --figures

docs: .venv/.core  ## make docs/results.md and the pictures of the README from runs
	$(BIN)/python docs/make.py

clean:  ## remove what was made here, but not your runs
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
