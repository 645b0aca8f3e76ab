# Everything runs in .venv; `make install` puts it there and is what the others call first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NATIVE := $(wildcard src/ottla/*/*.pyx)
DATA ?= ottla-data
SEEDS ?= 10000
# Processes that share the tests; each may run a broker and an Apache Kafka of its own (1 GiB).
WORKERS ?= 2
# Bytecode has a place of its own, because some environments forbid it beside the sources.
PYTEST := env -u PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX=$(CURDIR)/.cache/bytecode \
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install up test test-fast test-pure simulate lint bench peers clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: $(STAMP) ## Create .venv with Ottla (editable, accelerator built) and the development tools

$(STAMP): pyproject.toml setup.py $(NATIVE)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (the first time takes a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

up: install ## Start everything there is (today: the broker) on the data in DATA=ottla-data
	@exec $(BIN)/ottla up --data $(DATA)

test: install peers ## Run the whole suite, in WORKERS=2 processes
	$(PYTEST)

test-fast: install ## Run the suite without the slow tests
	$(PYTEST) -m "not slow"

test-pure: install ## Run the unit tests on the pure-Python twin of the accelerator
	OTTLA_PURE_PYTHON=1 $(PYTEST) tests/unit

simulate: install ## Play SEEDS=10000 histories of clients and a crashing broker, and judge each
	$(BIN)/python -m ottla.testing.simulate --seeds $(SEEDS)

lint: install ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/tidy.py

peers: install ## Fetch the foreign clients and brokers the tests and benchmarks run against
	@$(BIN)/python tools/peers.py

bench: install peers ## Measure Ottla beside Apache Kafka and the machine's own limits
	$(BIN)/python -m bench $(ARGS)

clean: ## Remove what the build and the tests left
	rm -rf $(VENV) build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src -name '*.so' -delete
