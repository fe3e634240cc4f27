# make demo       install into .venv, then see the tool work on real data
# make test       install into .venv, then format, lint, types, the fast tests and the examples in docstrings
# make test-slow  the tests that take longer
# make test-cluster  install Spark and Ray (0.6 GB) too, then their tests; Java 17 is needed
# make docs       build the site in docs/_build/html without network; warnings and dead links are errors
# make test-docs  that, then pages in a browser, spelling, and alternative texts
# make pictures   draw the pictures of the README from the demo and from the records
# make fuzz       read 100,000 mutated files for up to 30 minutes, and write the page with the figures
# make chaos      end fits and scorings at random moments, resume them, and count equal results
# make generate   rewrite what is generated: the index of detectors, their types, the tables in README.md
# make clean      remove what these commands made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# Modules are compiled when they are first imported, since most of those that are installed never are. They must then be
# kept, or each of the processes that the tests start would compile torch again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-cluster docs test-docs pictures fuzz chaos generate clean

help:
	@sed -n 's/^# //p; /^$$/q' Makefile

demo: $(INSTALLED)
	$(BIN)/anogan demo

test: $(INSTALLED)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy --num-workers 2
	$(BIN)/python -m pytest -m "not slow and not cluster and not docs" -n 2 --dist worksteal --doctest-modules anogan tests --ignore anogan/mlflow.py -W ignore::UserWarning

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow -n 2 --timeout 3600

test-cluster: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[spark,ray]" "pyspark[connect]"
	$(BIN)/python -m pytest -m cluster --timeout 600 tests/cluster

docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[docs]"
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build/html

test-docs: docs
	$(BIN)/python -m pytest -m docs --timeout 600 tests/docs

pictures: demo
	$(BIN)/python docs/pictures.py anogan-demo

fuzz: $(INSTALLED)
	PYTHONPATH=tests $(BIN)/python -m fuzz --page tests/fuzz/README.md

chaos: $(INSTALLED)
	PYTHONPATH=tests $(BIN)/python -m chaos --page tests/chaos/README.md

generate: $(INSTALLED)
	$(BIN)/python tests/test_generated.py
	PYTHONPATH=. $(BIN)/python tests/test_readme.py

# setuptools and torch go first, at their pinned versions: nothing later then has a reason to fetch another build of torch,
# and the editable install needs no build environment of its own. Compiling all modules would take 40 % of the time; the
# import compiles those that every use of the package needs.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "anogan needs Python 3.11 or newer; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 | tail -n 1)." >&2; \
	  echo "Name a newer one, for example: make PYTHON=python3.12 demo" >&2; exit 1; }
	@echo "Installing into $(VENV); the first time this takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt setuptools torch
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --no-build-isolation --editable ".[dev]"
	@$(BIN)/python -c "import anogan; anogan.list_detectors()"
	@touch $@

clean:
	rm -rf $(VENV) docs/_build docs/generated build dist anogan.egg-info anogan-demo .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
