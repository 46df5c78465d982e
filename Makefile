# Two commands matter: `make demo` and `make test`. Both install what they need.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
WORKSPACE ?= aisc-demo
CORPUS := tests/hostile/test_corpus.py tests/hostile/test_attacks_are_real.py \
	tests/contract/test_sandbox.py tests/contract/test_registry.py
SANDBOX := tests/hostile tests/contract/test_sandbox.py tests/contract/test_registry.py

.PHONY: help demo test test-sandbox test-corpus lint bench services compile weights clean

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
	for bench in tests/benchmarks/*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

services:  ## install the real servers that tests use (Debian, needs root; says so and goes on without)
	sh tests/services/install.sh

compile: $(READY)  ## compile the pipelines; commit what changes
	$(BIN)/aisc pipelines compile

weights: $(READY)  ## train every shipped network anew into trained/ (about an hour on two cores)
	for name in $$($(BIN)/aisc victims list --json | $(BIN)/python -c 'import json,sys; print(*(v["name"] for v in json.load(sys.stdin)))'); do \
		$(BIN)/aisc victims train $$name --to trained || exit 1; done

clean:  ## remove everything that is made
	rm -rf .venv .triton build dist trained $(WORKSPACE) .mypy_cache .ruff_cache .hypothesis .import_linter_cache
