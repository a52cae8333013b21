# make tune and make test set everything up themselves; nothing but python3 (3.11 to 3.13) and make is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Bytecode is compiled at set-up: importing TensorFlow without it takes about twice as long.
INSTALL := $(PIP) install --compile --constraint constraints.txt
ARGS ?=
# Tests write and delete many small files, and wait for the disk to confirm them: in memory, where there is a gigabyte
# for them, that takes no time. (Empty: where temporary files lie anyway.)
MEMORY := $(shell [ "$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}')" -gt 1000000 ] 2>/dev/null && echo /dev/shm)

.PHONY: help tune test test-slow check format board predict report bench bench-full setup clean

help: ## list what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

tune: $(VENV)/ready ## search; options in ARGS="--data mnist --folds 5"
	@$(BIN)/python -m tuner_app.tune $(ARGS)

predict: $(VENV)/ready ## predict with the newest model; options in ARGS
	@$(BIN)/python -m tuner_app.predict $(ARGS)

report: $(VENV)/ready ## write the report of the newest search
	@$(BIN)/python -m tuner_app.report $(ARGS)

board: $(VENV)/ready ## TensorBoard on all searches
	@$(BIN)/tensorboard --logdir logs $(ARGS)

test test-slow: export PYTEST_DEBUG_TEMPROOT = $(MEMORY)

test: $(VENV)/ready-to-test check ## format, lint, types, and the quick tests: two minutes
	@$(BIN)/python -m pytest --numprocesses logical --dist worksteal $(ARGS)

# What times something, and browsers, run one after the other; the rest side by side.
test-slow: $(VENV)/ready-to-test ## the tests that take longer: kills, browsers, notebooks, the wheel
	@$(BIN)/python -m pytest -m "slow and not alone and not browser" --numprocesses logical --dist loadgroup $(ARGS)
	@$(BIN)/python -m pytest -m "browser or (slow and alone)" $(ARGS)

check: $(VENV)/ready-to-test ## format, lint and types alone
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

format: $(VENV)/ready-to-test ## put format and imports right
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

bench: $(VENV)/ready-to-bench ## measure beside SciKeras and Keras Tuner: cases of 3 to 15 minutes each, over an hour (ARGS="command digits")
	@$(BIN)/python benchmarks/bench.py $(ARGS)

bench-full: $(VENV)/ready-to-bench ## the tutorial's whole search with the refit, each contender once (half an hour to over an hour)
	@$(BIN)/python benchmarks/bench.py full $(ARGS)

setup: $(VENV)/ready ## only set up

clean: ## remove the environment; searches stay
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	@echo "Setting up $(VENV) (a few minutes, once) ..."
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "tuner_app needs Python 3.11 to 3.13, but $(PYTHON) is %d.%d. Use make PYTHON=python3.12 ..." % v)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/ready: $(VENV)/bin/python pyproject.toml constraints.txt
	@$(PIP) install --compile --upgrade 'pip>=25.1'
	@$(INSTALL) --editable .
	@$(BIN)/python -m compileall -q tuner_app
	@touch $@

$(VENV)/ready-to-test: $(VENV)/ready
	@$(INSTALL) --group test
	@touch $@

$(VENV)/ready-to-bench: $(VENV)/ready
	@$(INSTALL) --group bench
	@touch $@
