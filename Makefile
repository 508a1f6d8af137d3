# Everything a developer does. `make` alone prints what there is.

PYTHON ?= python3
BIN := .venv/bin
LANES ?= unit embedded kafka

.DEFAULT_GOAL := help
.PHONY: help install run test check lint type unit contract integration bench profile in-flight soak chaos clean docs

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/installed ## Make .venv with everything the project needs

.venv/installed: setup.py
	@echo "Installing into .venv (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: install ## Run the proxy on port 8082 with an embedded broker and schema registry
	@$(BIN)/kafka-rest dev

test: install ## Run every test lane: unit, embedded broker, real Kafka
	@scripts/test $(LANES)

check: lint type unit ## What every commit must pass: lint, types, unit tests

lint: install ## Check style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

type: install ## Check types
	@$(BIN)/mypy

unit: install ## Run the unit tests (no sockets)
	@scripts/test unit

contract: install ## Run the contract tests on the embedded broker
	@scripts/test embedded tests/contract

integration: install ## Run the integration tests on the embedded broker
	@scripts/test embedded tests/integration

bench: install ## Measure speed and memory on a real Kafka (BENCH="--help" lists the options)
	@$(BIN)/python -m tests.performance.bench $(BENCH)

profile: install ## Where the CPU of one request goes: by thread, by stage, by code
	@$(BIN)/python -m tests.performance.profile $(PROFILE)

in-flight: install ## Measure what a limit of requests in flight gains and costs
	@$(BIN)/python -m tests.performance.in_flight $(IN_FLIGHT)

soak: install ## Ten minutes of mixed load on a real Kafka, and whether anything grows or is lost
	@$(BIN)/python -m tests.performance.soak $(SOAK)

chaos: install ## Break workers, proxies and Kafka under load, and prove that no record is lost
	@$(BIN)/python -m tests.chaos.run $(CHAOS)

docs: install ## Write the generated documents again
	@$(BIN)/kafka-rest settings --markdown > docs/settings.md
	@$(BIN)/kafka-rest settings --properties > config/kafka-rest.properties
	@$(BIN)/python -m kafka_rest.metrics.document > docs/metrics.md

clean: ## Remove what was made here: .venv, caches, downloads
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
