# Everything starts here: Python 3.11 or newer with venv and pip, and make, are all a machine needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := VIRTUAL_ENV=$(VENV) UV_NO_CONFIG=1 $(BIN)/uv
export TALLYSTAR_HOME ?= $(CURDIR)/.tallystar

.PHONY: help setup demo test test-long check format bench lock clean

help:
	@echo "make demo       a believable brand, running, with addresses to look at"
	@echo "make test       every test but the long ones"
	@echo "make test-long  the long ones: many more examples, a hundred kills, the whole demonstration"
	@echo "make check      format, lint, types, import rule"
	@echo "make bench      ratios against a baseline measured in the same run"
	@echo "make format     write the format that check asks for"
	@echo "make lock       resolve and pin the dependencies anew"

$(BIN)/uv: requirements/setup.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.x")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/setup.txt
	@touch $@

$(VENV)/runtime: $(BIN)/uv requirements/runtime.txt pyproject.toml
	@echo "Installing what Tallystar runs on ..."
	@$(UV) pip install --quiet --require-hashes -r requirements/runtime.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements/dev.txt
	@echo "Installing what tests and checks need ..."
	@$(UV) pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/dev

demo: $(VENV)/runtime
	@$(BIN)/tallystar demo $(ARGS)

test: $(VENV)/dev
	@$(BIN)/python -m pytest -m "not long" -n auto --dist worksteal $(ARGS)

test-long: $(VENV)/dev
	@$(BIN)/python -m pytest -m "long" $(ARGS)

check: $(VENV)/dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/dev
	@$(BIN)/python -m tests.bench $(ARGS)

PIN := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: $(BIN)/uv
	@echo "uv" | $(PIN) - -o requirements/setup.txt
	@printf "hatchling\neditables\n" > $(VENV)/build.in
	@$(PIN) pyproject.toml $(VENV)/build.in --group dev -o requirements/dev.txt
	@$(PIN) pyproject.toml $(VENV)/build.in -c requirements/dev.txt -o requirements/runtime.txt

clean:
	rm -rf $(VENV) .tallystar .mypy_cache .ruff_cache .pytest_cache .hypothesis
