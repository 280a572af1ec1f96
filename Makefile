# Every target makes the virtual environment it needs in .venv; `make` alone lists the targets.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TOOLS := .venv/.tools
OLDEST := .venv-oldest/bin
OLDEST_READY := .venv-oldest/.ready
OLDEST_TESTS := tests/audiences tests/campaigns tests/docs tests/faults tests/hooks tests/operators tests/never_twice tests/notifications tests/packaging \
	tests/sensors tests/transfers tests/triggers $(wildcard tests/test_*.py)
OLDEST_IS_FROM := 2025-09-01
NEWER_THAN_OLDEST := klaviyo-api time-machine
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
	--extra parquet --extra phone --extra redis --extra sandbox --extra sql --group test

# The newest Airflow there is, a pre-release or not, with the newest of everything else; only one newer than the locked.
NEXT := .venv-next/bin
NEXT_READY := .venv-next/.ready
NEXT_AIRFLOW = apache-airflow>$(shell sed -n 's/^apache-airflow==//p' requirements.lock)
MAY_BE_PRE_RELEASES := apache-airflow apache-airflow-core apache-airflow-task-sdk

# Of the live tests, those that other Airflows than the locked one run: neither those that measure nor those that kill, as
# the scheduler of 3.4.0b2 ends if it takes a cleared task for dead.
STORIES := $(addprefix tests/live/test_,approval.py cleared.py edited.py lifecycle.py warehouse.py)

# Which of the fast tests run on another Airflow than the locked one.
WHICH := not live

# Live tests that share an Airflow keep to one process, and those that
# start their own run beside them.
PYTEST := python -m pytest -q -p tests.support.progress -o console_output_style=classic
FAST := $(PYTEST) --numprocesses 2 --dist worksteal
LIVE := $(PYTEST) --numprocesses 2 --dist loadgroup

# Two Airflows on two cores may want for time: a live test that fails beside another one is run again, alone, and fails
# for good if it fails then. Both outcomes are shown.
ALONE := $(PYTEST) --last-failed --last-failed-no-failures none

# The same, with what runs written down, in the processes that it starts too. All is slower then, so what fails is shown
# and does not end it: `make test-all` judges the package, and this how much of it the tests run.
MEASURED = $(subst python -m,coverage run -m,$(1))
TOO_SLOW := Some tests failed while they were measured; does make test-all pass?

.DEFAULT_GOAL := help
.PHONY: help demo test test-thorough test-all test-fast test-live test-oldest test-next test-matrix test-cluster proof coverage bench lint format lock docs screenshots clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## Run a campaign's whole life in a real Airflow against the sandbox (KEEP=1 leaves both up)
	@$(BIN)/python -m demo.run

test: $(READY)  ## Run the tests but the thorough ones: 20 to 30 minutes
	@echo "1 of 2: the fast tests, 8 to 15 minutes"
	@$(BIN)/$(FAST) -m "not live and not thorough" || { echo "make test: FAILED in the fast tests"; exit 1; }
	@echo "2 of 2: the tests with a real Airflow, 11 to 18 minutes"
	@$(BIN)/$(LIVE) -m "live and not thorough" || { echo "Again, alone:"; $(BIN)/$(ALONE) -m live; } || \
		{ echo "make test: FAILED in the live tests"; exit 1; }
	@echo "make test: passed, fast and live; make test-all runs the thorough ones too"

test-thorough: $(READY)  ## Run the thorough tests, which `make test` leaves out: some 30 minutes
	@$(BIN)/$(FAST) -m "not live and thorough"
	@$(BIN)/$(LIVE) -m "live and thorough" || { echo "Again, alone:"; $(BIN)/$(ALONE) -m live; }

test-all: $(READY)  ## Run all tests, the thorough ones too: an hour or so
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory test-thorough
	@echo "make test-all: all tests passed, fast and live"

test-fast: $(READY)  ## Run all tests without an Airflow that runs
	@$(BIN)/$(FAST) -m "not live"

test-live: $(READY)  ## Run all tests with a real Airflow
	@$(BIN)/$(LIVE) -m live || { echo "Again, alone:"; $(BIN)/$(ALONE) -m live; }

test-oldest: $(OLDEST_READY)  ## Run the tests that touch Airflow, and stories with a real one, on the oldest: Airflow 3.0
	@$(OLDEST)/$(FAST) -m "$(WHICH)" $(OLDEST_TESTS)
	@$(OLDEST)/$(LIVE) -m live $(STORIES) || { echo "Again, alone:"; $(OLDEST)/$(ALONE) -m live $(STORIES); }

test-next: $(NEXT_READY)  ## Run the tests that touch Airflow, and stories with a real one, on the newest pre-release
	@$(NEXT)/$(FAST) -m "$(WHICH)" $(OLDEST_TESTS)
	@$(NEXT)/$(LIVE) -m live $(STORIES) || { echo "Again, alone:"; $(NEXT)/$(ALONE) -m live $(STORIES); }

test-matrix: $(READY)  ## Run the fast tests on each supported Airflow, each with what was current at its release
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group matrix
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nox --report .nox/report.json -- tests/api $(OLDEST_TESTS)

test-cluster: $(READY)  ## Run 60 campaigns on a cluster whose parts are killed on the way: Celery, Redis and PostgreSQL
	@scripts/programs.sh redis-server:redis-server pg_ctlcluster:postgresql
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --group cluster
	@$(BIN)/python -m proof.cluster

proof: $(READY)  ## Prove that nothing is made or sent twice: every fault, 1,000 random plans, kills of a real Airflow
	@$(BIN)/python -m proof --exhaustive
	@$(BIN)/python -m proof --random 1000
	@$(BIN)/python -m proof.live

coverage: $(READY)  ## Measure what the tests run of the package, live ones too; fails below the floor: an hour or more
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group coverage
	@$(BIN)/coverage erase
	@$(BIN)/$(call MEASURED,$(FAST)) -m "not live" || echo "$(TOO_SLOW)"
	@$(BIN)/$(call MEASURED,$(LIVE)) -m live || echo "$(TOO_SLOW)"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

bench: $(READY)  ## Measure speed against named peers and write docs/benchmarks.md
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group bench
	@$(BIN)/python -m benchmarks --output docs/benchmarks.md

lint: $(READY)  ## Check style, formatting and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/basedpyright

format: $(READY)  ## Format the code and apply safe fixes
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

lock: $(TOOLS)  ## Resolve the dependencies anew into requirements.lock and requirements-oldest.lock
	@$(COMPILE) --group arrow --group lint --output-file requirements.lock pyproject.toml
	@$(COMPILE) --constraints requirements-oldest.in --exclude-newer $(OLDEST_IS_FROM) \
		$(addprefix --exclude-newer-package ,$(addsuffix =2100-01-01,$(NEWER_THAN_OLDEST))) \
		--output-file requirements-oldest.lock pyproject.toml

docs: $(TOOLS)  ## Build the site of the documentation into build/site
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group docs
	@$(BIN)/python -m scripts.docs_site

screenshots: $(READY)  ## Take the pictures in docs/images (needs Chromium)
	@$(BIN)/python -m scripts.screenshot

clean:  ## Remove everything that make has made
	@rm -rf .venv .venv-oldest .venv-next .nox .demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(TOOLS):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, but $(PYTHON) is: $$($(PYTHON) --version 2>&1)"; \
		echo "Name another one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear .venv || { \
		echo "Could not make .venv. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.13"
	@touch $@

# Compiled at once, because Airflow starts its many processes twice as fast from byte code.
$(READY): $(TOOLS) requirements.lock pyproject.toml
	@echo "Installing Airflow and the tools (about 160 packages) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(OLDEST_READY): $(TOOLS) requirements-oldest.lock pyproject.toml
	@echo "Installing Airflow 3.0 (about 150 packages) ..."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-oldest
	@$(BIN)/uv pip install --quiet --python $(OLDEST)/python --compile-bytecode --requirement requirements-oldest.lock
	@$(BIN)/uv pip install --quiet --python $(OLDEST)/python --no-deps --editable .
	@touch $@

# Not locked: it is resolved anew whenever it is made.
$(NEXT_READY): $(TOOLS) requirements.lock pyproject.toml
	@echo "Installing $(NEXT_AIRFLOW) (about 160 packages) ..."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-next
	@$(BIN)/uv pip install --quiet --python $(NEXT)/python --compile-bytecode --group arrow --group test --editable ".[parquet,phone,redis,sandbox,sql]" \
		$(foreach package,$(MAY_BE_PRE_RELEASES),--prerelease-package $(package)=allow) "$(NEXT_AIRFLOW)"
	@$(NEXT)/python -c 'from importlib.metadata import version; print("Installed Airflow", version("apache-airflow"))'
	@touch $@
