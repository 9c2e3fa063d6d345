# make run    a small Mastodon in a box: own Redis, own PostgreSQL, sample people, this server
# make test   the tests          make lint   ruff and mypy          make clean   as after cloning
# make coverage   what the unit tests leave untested
# make bench      what serving costs, against a bare send(); BENCH=--quick for less
# make scale-test   several workers, several nodes behind nginx, and what they cost
# make chaos      what readers notice while everything around the server breaks; CHAOS=short for less
# make docs   this documentation as a site, in build/docs
# make fuzz   hostile bytes for FUZZ_SECONDS on each way in; see fuzz/README.md
#
# The Python is another one with `make PYTHON=python3.13 …`; `make clean` before changing it.

PYTHON ?= python3
FUZZ_SECONDS ?= 60
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517
# The other kind of editable install would hide the plugin from twistd.
EDITABLE := --config-settings editable_mode=compat

# Those that need nothing but memory.
UNIT_TESTS := $(patsubst tests/%.py,tests.%,$(wildcard tests/test_*.py))

.PHONY: run test lint coverage fuzz chaos bench scale-test docs clean

run: .venv/server-installed
	@$(BIN)/python -m flodgatt_tx.demo.programs
	$(BIN)/twistd -n --pidfile= flodgatt --demo

test: .venv/tests-installed
	@$(BIN)/python -m flodgatt_tx.demo.programs
	$(BIN)/python -m twisted.trial tests

lint: .venv/tests-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: .venv/tests-installed
	$(BIN)/python -m coverage run -m twisted.trial --reporter=summary $(UNIT_TESTS)
	$(BIN)/python -m coverage report --skip-covered --fail-under=100 --include='flodgatt_tx/*.py'
	$(BIN)/python -m coverage report --skip-covered --fail-under=90 --include='flodgatt_tx/edge/*'

fuzz: .venv/fuzz-installed
	@for target in $(notdir $(wildcard fuzz/corpus/*)); do \
	    echo "$$target:"; \
	    $(BIN)/python -m fuzz $$target -max_total_time=$(FUZZ_SECONDS) -timeout=20 -verbosity=0 || exit 1; \
	done

chaos: .venv/tests-installed
	@$(BIN)/python -m flodgatt_tx.demo.programs
	$(BIN)/python -m chaos --json build/chaos.json $(if $(filter short,$(CHAOS)),--short)

bench: .venv/bench-installed build/benchmarks/load build/benchmarks/floor
	@$(BIN)/python -m flodgatt_tx.demo.programs
	$(BIN)/python -m benchmarks --json build/benchmarks/results.json $(BENCH)
	$(BIN)/python -m benchmarks.plots build/benchmarks/results.json build/benchmarks

scale-test: .venv/tests-installed .venv/bench-installed build/benchmarks/load
	@$(BIN)/python -m flodgatt_tx.demo.programs
	$(BIN)/python -m twisted.trial tests.integration.test_workers tests.integration.test_nodes
	$(BIN)/python -m benchmarks.workers
	$(BIN)/python -m benchmarks.redis_limits

docs: .venv/docs-installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env -b html docs build/docs
	@echo "build/docs/index.html"

build/benchmarks/%: benchmarks/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -o $@ $<

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "$(PYTHON) is not Python 3.11 or later: try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "$(PYTHON) cannot make virtual environments: apt install $(notdir $(PYTHON))-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/server-installed: setup.py pyproject.toml | .venv/bin/python
	$(INSTALL) $(EDITABLE) -e .
	@touch $@

.venv/tests-installed: setup.py pyproject.toml | .venv/bin/python
	$(INSTALL) $(EDITABLE) -e '.[test]'
	@touch $@ .venv/server-installed

.venv/fuzz-installed: setup.py pyproject.toml | .venv/bin/python
	$(INSTALL) $(EDITABLE) -e '.[fuzz]'
	@touch $@ .venv/server-installed .venv/tests-installed

.venv/bench-installed: setup.py pyproject.toml | .venv/bin/python
	$(INSTALL) $(EDITABLE) -e '.[bench]'
	@touch $@ .venv/server-installed

.venv/docs-installed: setup.py pyproject.toml | .venv/bin/python
	$(INSTALL) $(EDITABLE) -e '.[docs]'
	@touch $@ .venv/server-installed

clean:
	rm -f twisted/plugins/dropin.cache
	rm -rf .venv build dist docs/api *.egg-info fuzz/findings fuzz/generated _trial_temp* .mypy_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +
