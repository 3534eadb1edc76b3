# `make demo` and `make test` do everything on a machine that has Python 3.11 or later, make and the package index.
PYTHON ?= python3
BIN := .venv/bin
FLAGS ?=

.PHONY: demo demo-rollout test lint types floors proof bench clean setup lock docs

demo: .venv/demo.stamp          ## the main job on the real flights: a verdict, its reasons, a page
	@$(BIN)/gonogo run examples/flights; code=$$?; if [ $$code -gt 1 ]; then exit $$code; fi

demo-rollout: .venv/demo.stamp  ## two releases on replayed flights: one goes through, one comes back; two pages
	@$(BIN)/python examples/flights-rollout/demo.py

setup: .venv/dev.stamp

test: .venv/dev.stamp           ## lint, types, floors, tests and the snippets of the docs
	@$(MAKE) --no-print-directory -j 2 lint types floors .venv/compiled.stamp
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow" $(FLAGS)

lint: .venv/dev.stamp
	$(BIN)/ruff check src tests benchmarks examples scripts
	$(BIN)/ruff format --check src tests benchmarks examples scripts

types: .venv/dev.stamp
	$(BIN)/mypy

floors: .venv/dev.stamp
	$(BIN)/lint-imports

.venv/compiled.stamp: $(wildcard src/gonogo/*/*kernel*.py) | .venv/dev.stamp
	$(BIN)/python -m tests.compiled
	@touch $@

proof: .venv/dev.stamp          ## the longer proofs: simulations, kills, generated cases
	$(BIN)/pytest -n 2 -m slow $(FLAGS)
	$(BIN)/python -m tests.faults.register
	$(BIN)/python -m benchmarks.truth.run --worlds 2000
	$(BIN)/python -m benchmarks.truth.page
	$(BIN)/python benchmarks/interval_coverage.py

bench: .venv/dev.stamp          ## every figure beside its peer, in one interleaved run
	$(BIN)/python benchmarks/run_all.py

docs: .venv/dev.stamp           ## the reference pages, from the program itself
	$(BIN)/python scripts/reference.py

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"

.venv/demo.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo]"
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@ .venv/demo.stamp

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

lock: setup                     ## write down the versions that are installed now
	(head -1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | grep "==" | grep -v -i -E "^(pip|setuptools|wheel)=") > constraints.new && mv constraints.new constraints.txt
