## make demo          train one network on every installed backend, check its gradients, compare the time
## make test          the whole test suite; TORCH=torch installs PyTorch for it (on Linux, several GB)
## make test-lowest   the test suite on the lowest versions of everything that it declares
## make docs          build the site of the documentation, build/site/index.html
## make notebooks     execute the tutorials and write them as notebooks, build/notebooks
## make lint          ruff and mypy
## make format        let ruff fix what it can
## make clean         remove the virtual environments and what was built
## PYTHON=python3.12 chooses the Python, VENV=FOLDER the virtual environment
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
OUT ?= build/demo
TORCH ?=
INSTALL := -m pip install --quiet --disable-pip-version-check
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
ENVIRONMENT := JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(ONE_THREAD) SCIPY_ARRAY_API=1

# An older way of XLA to emit code, which compiles in half the time; from JAX 0.12 on, it does not know this flag.
QUICK := --xla_cpu_use_fusion_emitters=false

# A library that ends the process, as XLA does at an unknown flag, says why only outside of pytest: so the
# backends are started once before. Then QUICK is added to XLA_FLAGS if JAX starts with it.
define TEST
$(ENVIRONMENT) $(1)/python -X faulthandler -u -m backends
XLA_FLAGS="$$(XLA_FLAGS="$$XLA_FLAGS $(QUICK)" $(1)/python -c \
	'import os, jax; jax.devices(); print(os.environ["XLA_FLAGS"])' 2>/dev/null || echo "$$XLA_FLAGS")" \
	$(ENVIRONMENT) $(1)/python -m pytest --numprocesses 2 --dist loadfile
endef

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest docs notebooks lint format clean

help:
	@sed -n 's/^## //p' Makefile

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "multinn needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(INSTALL) --upgrade --upgrade-strategy eager --editable '.[dev]'
	@touch $@

$(VENV)/installed-torch: $(VENV)/installed
	$(BIN)/python $(INSTALL) --editable '.[dev,torch]' '$(TORCH)'
	@touch $@

demo: $(VENV)/installed
	$(BIN)/python -m experiments.demo --out $(OUT)

test: $(VENV)/installed$(if $(TORCH),-torch)
	$(call TEST,$(BIN))

test-lowest: pyproject.toml tests/lowest-versions.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python $(INSTALL) --constraint tests/lowest-versions.txt --editable '.[dev]'
	$(call TEST,$(LOWEST)/bin)

docs: $(VENV)/installed
	rm -rf build/site
	$(ONE_THREAD) $(BIN)/python -m sphinx -W --keep-going --fresh-env -b html docs build/site

notebooks: $(VENV)/installed
	$(ONE_THREAD) $(BIN)/python docs/notebooks.py build/notebooks

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-* build .pytest_cache .mypy_cache .ruff_cache .hypothesis
