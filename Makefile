# make demo   train the same network on every installed backend, compare, draw
# make test   the whole test suite
# make lint   ruff and mypy
# make test-lowest   the test suite on the lowest versions of everything that it declares
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
OUT ?= build/demo
TORCH ?= torch
ENVIRONMENT := JAX_DISABLE_MOST_OPTIMIZATIONS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 SCIPY_ARRAY_API=1 \
	XLA_FLAGS='--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest lint format clean

help:
	@sed -n 's/^# //p' Makefile

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "multinn needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/installed-torch: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,torch]' \
		'$(TORCH)'
	@touch $@

demo: $(VENV)/installed
	$(BIN)/python -m experiments.demo --out $(OUT)

test: $(VENV)/installed-torch
	$(ENVIRONMENT) $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-lowest: pyproject.toml tests/lowest-versions.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint tests/lowest-versions.txt --editable '.[dev]'
	$(ENVIRONMENT) $(LOWEST)/bin/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(LOWEST) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
