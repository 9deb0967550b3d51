# Every goal of this repository. `make help` lists them; CONTRIBUTING.md says when to use which.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Python 3.11 or newer: `make setup PYTHON=/path/to/python3.11` where it has another name.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SUPPLY := build/supply-chain
CODE := $(wildcard src tests bench tools)

APP_ENV ?= dev
PORT ?= 5000
# How many processes share the tests: `make test WORKERS=0` runs them in one.
WORKERS ?= auto
AIBA_DATA_DIR ?= ./var

.PHONY: help setup run demo test fmt lint types unit contract soak kill-test bench mutation contracts lock audit-deps secrets sbom clean

help: ## List the goals.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv from the lock file and install this project into it.
	@:

# Debian's python3 has no ensurepip until python3-venv is installed; its pip can fill an environment from outside.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo 'Python 3.11 is needed: install it, or make setup PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo '$(PYTHON) is older than Python 3.11: make setup PYTHON=...' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 \
		|| $(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 \
		|| { $(PYTHON) -m venv --clear --without-pip $(VENV) \
			&& $(PYTHON) -m pip --python $(BIN)/python install -qq --disable-pip-version-check pip; } \
		|| { echo 'no environment could be made: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Installing the pinned packages into $(VENV) ...'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup ## Start the API on 127.0.0.1:$PORT (5000) and a local chain; data in $AIBA_DATA_DIR (./var); Ctrl-C drains.
	@APP_ENV='$(APP_ENV)' PORT='$(PORT)' AIBA_DATA_DIR='$(AIBA_DATA_DIR)' exec $(BIN)/aiba serve $(if $(filter prod,$(APP_ENV)),,--local-chain)

demo: setup ## Play real battles, withdraw to a local chain, and verify all of it, on a server of its own.
	@exec $(BIN)/aiba demo

test: setup ## Everything CI runs: format, lint, types, unit and contract tests.
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy $(CODE)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal tests/unit tests/contract

fmt: setup ## Format the code and apply the linter's safe fixes.
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format $(CODE)

lint: setup ## Lint and check the format.
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

types: setup ## Check the types, strictly.
	@$(BIN)/mypy $(CODE)

unit: setup ## Run the unit tests: rules, and use cases in memory.
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal tests/unit

contract: setup ## Run the contract tests: every store and the HTTP API.
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal tests/contract

soak: setup ## Run the properties with many fresh examples; SEED=N repeats a run.
	@seed='$(SEED)'; seed=$${seed:-$$RANDOM$$RANDOM}; echo "make soak SEED=$$seed repeats this run"; \
		HYPOTHESIS_PROFILE=soak $(BIN)/pytest tests -m 'not kill' --hypothesis-seed=$$seed

kill-test: setup ## Kill the server under load 20 times; every acknowledged battle must survive.
	@AIBA_KILL_ROUNDS=$${AIBA_KILL_ROUNDS:-20} $(BIN)/pytest tests/contract -m kill -s

bench: setup ## Measure speed and growth, and print the table of the README.
	@exec $(BIN)/python -m bench

mutation: setup ## Measure which faults in the rules the tests find; PACKAGES=claims QUICK=1 JOBS=2 REPORT=docs/mutation.md.
	@exec nice -n 5 $(BIN)/python tools/mutation.py $(PACKAGES) $(if $(QUICK),--quick) $(if $(JOBS),--jobs $(JOBS)) $(if $(REPORT),--report $(REPORT))

contracts: ## Rebuild the contracts with Node (20 or newer); fails if the committed code is another.
	@command -v node >/dev/null || { echo 'Node 20 or newer is needed' >&2; exit 1; }
	@npm ci --prefix contracts --ignore-scripts --no-audit --no-fund --silent
	@node contracts/build.mjs --check

lock: setup ## Refresh requirements.lock and the image's; UPGRADE=1 takes the newest versions that pyproject.toml allows.
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-config \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
		$(if $(UPGRADE),--upgrade) --quiet --output-file requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra hsm --extra mongo --extra redis --constraint requirements.lock \
		--universal --python-version 3.11 --no-config --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --quiet --output-file deploy/requirements.lock
	@$(BIN)/uv pip compile tools/supply-chain.in --universal --python-version 3.11 --no-config --generate-hashes \
		--no-annotate --no-header --no-emit-index-url --no-emit-find-links \
		$(if $(UPGRADE),--upgrade) --quiet --output-file tools/supply-chain.lock

# The tools of the next goals have pins of their own, so that theirs and the product's never meet.
$(SUPPLY)/.ready: tools/supply-chain.lock
	@$(PYTHON) -m venv --clear $(SUPPLY) >/dev/null 2>&1 \
		|| { echo 'no environment could be made: apt-get install python3-venv' >&2; exit 1; }
	@$(SUPPLY)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r tools/supply-chain.lock
	@touch $@

audit-deps: $(SUPPLY)/.ready ## Ask for known vulnerabilities of every pinned package; fails where nobody could be asked.
	@$(PYTHON) tools/dependency_audit.py $(SUPPLY)/bin/pip-audit requirements.lock deploy/requirements.lock tools/supply-chain.lock

secrets: ## Look for secrets in every tracked file and in the whole history.
	@$(PYTHON) tools/secret_scan.py

sbom: setup $(SUPPLY)/.ready ## Write the bill of materials of the image, build/sbom.cdx.json, and hold it against its schema.
	@$(BIN)/python tools/sbom.py --output build/sbom.cdx.json
	@$(SUPPLY)/bin/python tools/sbom_check.py build/sbom.cdx.json
	@echo build/sbom.cdx.json

clean: ## Remove what make made, except the data of `make run`.
	@rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache src/*.egg-info
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
