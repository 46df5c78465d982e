# Two commands matter: `make demo` and `make test`. Both install what they need.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
WORKSPACE ?= aisc-demo
CORPUS := tests/hostile/test_corpus.py tests/hostile/test_attacks_are_real.py \
	tests/contract/test_sandbox.py tests/contract/test_registry.py
SERVICES := tests/contract/test_victims.py tests/contract/ledger tests/contract/test_store.py \
	tests/contract/test_store_folder.py tests/contract/test_store_s3.py tests/pipelines/test_real_parts.py
SANDBOX := tests/hostile tests/contract/test_sandbox.py tests/contract/test_registry.py

.PHONY: help demo demo-services test test-services test-sandbox test-corpus lint bench services compile weights clean

help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(READY)  ## run a whole season on this machine: data, victims, starter submissions, rounds, boards
	$(BIN)/aisc demo --workspace $(WORKSPACE)

test: $(READY) services lint  ## all tests and checks; real servers where they can be had
	$(BIN)/aisc pipelines compile --check
	$(BIN)/pytest -rs -n auto --dist loadgroup --doctest-modules --ignore-glob='*/ledger/migrations/*' \
		--pyargs aisc tests $(SANDBOX:%=--ignore=%)

test-services: $(READY) services  ## Triton, S3, PostgreSQL: contracts, faults, whole rounds, part by part (some minutes)
	sh tests/services/install_triton.sh
	for part in $(SERVICES); do echo "== $$part"; $(BIN)/pytest -rs $$part || exit 1; done

demo-services: $(READY) services  ## the demo on Triton, S3 and PostgreSQL instead of the embedded parts
	sh tests/services/install_triton.sh
	$(BIN)/python -m tests.services.demo $(WORKSPACE)-services

test-sandbox: $(READY)  ## hostile corpus and images from archive to score on every driver (Debian, needs root; ten minutes or more)
	sh tests/services/install_sandbox.sh
	$(BIN)/pytest -rs $(SANDBOX)

test-corpus: $(READY)  ## the hostile corpus alone, as CI runs it (Debian, needs root; about four minutes)
	sh tests/services/install_sandbox.sh
	$(BIN)/pytest -rs $(CORPUS)

lint: $(READY)  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## speed as ratios against a peer in the same run (some minutes)
	for bench in tests/benchmarks/*.py; do echo "== $$bench"; $(BIN)/python -m tests.benchmarks.$$(basename $$bench .py) || exit 1; done

services:  ## install the real servers that tests use (Debian, needs root; says so and goes on without)
	sh tests/services/install.sh

compile: $(READY)  ## compile the pipelines; commit what changes
	$(BIN)/aisc pipelines compile

weights: $(READY)  ## train every shipped network anew into trained/ (about an hour on two cores)
	for name in $$($(BIN)/aisc victims list --json | $(BIN)/python -c 'import json,sys; print(*(v["name"] for v in json.load(sys.stdin)))'); do \
		$(BIN)/aisc victims train $$name --to trained || exit 1; done

clean:  ## remove everything that is made
	rm -rf .venv .triton build dist trained $(WORKSPACE) .mypy_cache .ruff_cache .hypothesis .import_linter_cache
