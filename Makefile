# `make run` and `make test` need nothing but Python 3.11 to 3.13, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SPARK_INSTALLED := $(VENV)/.installed-spark

# Compiled modules are stored: compiling TensorFlow again doubles the time of each command.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run shop test test-spark check viz docs lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(INSTALLED) ## Run everything on the synthetic sample store, and recommend to one customer
	$(BIN)/kedro run --pipelines __default__,modelling_reproduction
	$(BIN)/kedro recommend --user A2OBLKCNIU4EIDYN4HIFBXL6JJYP --top 5

# Three processes keep two cores busy: many tests wait for commands that start.
test: $(INSTALLED) check ## Check style and types, and run the test suite
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-spark: $(SPARK_INSTALLED) ## Install PySpark (400 MB) and test the tables on it (needs Java 17 or 21)
	$(BIN)/python -m pytest -m spark -n 2 --dist loadfile tests/spark

check: $(INSTALLED) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

shop: $(INSTALLED) ## Serve the demo shop on the sample store at http://127.0.0.1:8000
	test -f data/06_models/sample/current || $(BIN)/kedro run
	$(BIN)/bazar serve data/06_models/sample --shop

viz: $(INSTALLED) ## Browse the lineage at http://127.0.0.1:4141 (of your own data: make viz ENV=my_shop)
	$(BIN)/kedro viz run $(if $(ENV),--env $(ENV))

docs: $(INSTALLED) ## Build the documentation with the lineage: build/site/index.html
	$(BIN)/kedro viz build
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	mkdir -p build/site/lineage
	cp -r build/api build/assets build/*.html build/favicon.ico build/site/lineage/

lock: $(INSTALLED) ## Update the pinned dependencies in the requirements*.lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --extra serve --extra train --extra dev --no-header --annotation-style line pyproject.toml \
	  | sed -E '/^(nvidia-|cuda-|triton)/d; s/^torch==([0-9.]+)[^#]*(  #.*)/torch==\1\2/' | uniq > requirements.lock
	uv pip compile --universal --python-version 3.11 --extra spark --constraint requirements.lock --no-header --no-annotate pyproject.toml \
	  | grep -E '^(pyspark|py4j)==' > requirements-spark.lock
	uv pip compile --universal --python-version 3.11 --extra serve --constraint requirements.lock --no-header --annotation-style line pyproject.toml > requirements-serve.lock

clean: ## Remove the environment
	rm -rf $(VENV)

# Python compiles a module when it is first imported: --no-compile saves minutes for those that are not.
# Installed again only when the lock file or the metadata of the project changes.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Bazar needs Python 3.11, 3.12 or 3.13, found " + sys.version.split()[0] + ": set PYTHON, as in make run PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

$(SPARK_INSTALLED): $(INSTALLED) requirements-spark.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-spark.lock
	@touch $(SPARK_INSTALLED)
