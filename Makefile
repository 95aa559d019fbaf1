# Shopfloor: every task of a developer, and the two commands of a newcomer (demo, test).

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
JOBS   ?= 2
TASKS  ?= 300
HOSTS  ?= 3
SEED   ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types arrows bench chaos fmt docs clean

help: ## Show what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Shopfloor needs Python 3.11 or newer; $(PYTHON) is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.product: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Shopfloor into $(VENV) ..."
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.tools: $(VENV)/.product
	@echo "Installing what tests and checks need ..."
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.product ## Set up, run a fleet on a repository made for it, show what came of it
	@$(BIN)/shopfloor demo

test: $(VENV)/.tools ## Set up and run every test, in parallel
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup

check: lint types arrows ## Lint, types and import contracts

lint: $(VENV)/.tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.tools
	@$(BIN)/mypy

arrows: $(VENV)/.tools
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/.tools ## Measure the cost of a landed task and of a claim, as ratios against a bare Celery chain
	@$(BIN)/python -m tests.bench.overhead
	@$(BIN)/python -m tests.bench.claim

chaos: $(VENV)/.tools ## Break a fleet while it works, by a seed, and check what it left (TASKS, HOSTS, SEED)
	@$(BIN)/python -m tests.chaos --tasks $(TASKS) --hosts $(HOSTS) --seed $(SEED) --minutes 30

fmt: $(VENV)/.tools ## Format and sort the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

docs: $(VENV)/.tools ## Write the documents that are generated from the code
	@$(BIN)/python -m orchestrator.cli.reference > docs/cli.md
	@$(BIN)/python -m orchestrator.schemas

clean: ## Delete what the other targets made
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
