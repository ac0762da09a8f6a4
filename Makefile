# Set up, run, test. `make help` lists it. Needs Python 3.11 or newer, git and GNU make; everything else goes into .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core-installed
DEV := $(VENV)/.dev-installed
OLD_OPENAI := .clients/openai2/.installed
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=

.PHONY: help up down logs setup demo test check bench lock wheel clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

up: $(CORE) ## Set up if need be, and start: gateway, control and worker, on one port
	@$(BIN)/meliora up --detach $(ARGS)

down: ## Stop what `make up` started, after the calls in flight
	@if [ -x $(BIN)/meliora ]; then $(BIN)/meliora down $(ARGS); else echo "Nothing is set up, so nothing runs."; fi

logs: $(CORE) ## Follow the logs
	@$(BIN)/meliora logs --follow $(ARGS)

setup: $(CORE) ## Make .venv and install the core, as locked

demo: $(CORE) ## Play three minutes in which the loop finds, tries, keeps, stops and takes back (ARGS="--seed 11")
	@rm -rf var/demo
	@$(BIN)/python -m examples.demo $(ARGS)

test: $(DEV) $(OLD_OPENAI) ## Run all tests, in random order, on two cores (ARGS="tests/gateway" for some)
ifeq ($(ARGS),)
	$(BIN)/pytest -n 2 --ignore=tests/acceptance
	$(BIN)/python scripts/coverage.py --check
else
	$(BIN)/pytest -n 2 $(ARGS)
endif

check: $(DEV) ## Format, lint, types, import contracts, documentation, dead code
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/meliora config document --check
	$(BIN)/python scripts/dead_code.py

bench: $(DEV) ## Measure the gateway (ARGS="--peers" to measure others beside it)
	$(BIN)/python -m benchmarks.gateway $(ARGS)

lock: ## Lock the dependencies again (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install uv" >&2; exit 2; }
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --extra knowledge pyproject.toml -o requirements/core.txt
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --extra postgres --extra otlp --extra knowledge pyproject.toml -o requirements/container.txt
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --group dev --extra knowledge --extra postgres --extra otlp --extra litellm --extra openfeature pyproject.toml -o requirements/dev.txt
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header requirements/openai2.in -o requirements/openai2.txt

wheel: $(CORE) ## Build a wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean: ## Remove what can be made again; never the state in var/
	rm -rf $(VENV) .clients dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@sh scripts/make-venv $(VENV)

$(CORE): requirements/core.txt pyproject.toml | $(BIN)/python
	@echo "Installing the core into $(VENV) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/core.txt
	@$(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(DEV): requirements/dev.txt $(CORE)
	@echo "Installing what tests and checks need ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

$(OLD_OPENAI): requirements/openai2.txt | $(BIN)/python
	@echo "Installing the older OpenAI client for its tests ..."
	@rm -rf .clients/openai2
	@$(PIP_INSTALL) --require-hashes --target .clients/openai2 -r requirements/openai2.txt
	@touch $@
