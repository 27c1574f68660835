# Skyhold's commands; `make` alone lists them. Everything is installed in .venv, once, and again
# only when a lock file or pyproject.toml changes.

PYTHON ?= python3
ARGS    =
MINUTES = 5
DB      = sqlite
SEED    =
SECONDS = 5

venv  := .venv
bin   := $(venv)/bin
ready := $(venv)/.run-ready
tools := $(venv)/.dev-ready

pip  := $(bin)/python -m pip -qq --disable-pip-version-check --no-input
lock := $(bin)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
        --python $(bin)/python --no-python-downloads --fork-strategy fewest \
        --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command 'make lock'

# From its environment pip takes how to reach an index, and nothing that would change what is
# installed or where: the lock files say what, .venv is where.
pip_reach := PIP_CACHE_DIR PIP_CERT PIP_CLIENT_CERT PIP_CONFIG_FILE PIP_DEFAULT_TIMEOUT \
             PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_INDEX_URL PIP_KEYRING_PROVIDER \
             PIP_NO_CACHE_DIR PIP_NO_INDEX PIP_PROXY PIP_RETRIES PIP_TIMEOUT PIP_TRUSTED_HOST
unexport $(filter-out $(pip_reach),$(filter PIP_%,$(.VARIABLES)))
export PIP_USER := 0

# Without a DB of its own, `bench` measures all of them.
measure = PYTHONPATH=tests:. $(bin)/python -m bench --seconds $(SECONDS) \
          $(if $(filter command environment,$(firstword $(origin DB))),--db $(DB))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:
.PHONY: help run test faults faults-mutants galera rabbit-cluster fuzz bench bench-size bench-capacity bench-contention bench-pages bench-memory bench-instructions check audit screenshots sbom format docs lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@echo
	@echo '  ARGS is handed on:   make test ARGS="-k hold"   make lock ARGS=--upgrade'
	@echo '  another Python:      make PYTHON=python3.12 test'

run: $(ready) ## start the whole system: both services, with the demo schedule (settings: .env.example)
	@exec $(bin)/skyhold serve --demo $(ARGS)

test: $(tools) ## run the tests, two at a time; one at a time: ARGS='-n 0 --pdb'
	@$(bin)/python -m compileall -q src
	@$(bin)/pytest --numprocesses 2 $(ARGS)

faults: $(tools) ## the system under faults, for long: MINUTES=30 DB=sqlite|mariadb|postgresql|galera SEED=7
	@PYTHONPATH=tests $(bin)/python -m faults --minutes $(MINUTES) --db $(DB) \
	    $(if $(SEED),--seed $(SEED)) $(ARGS)

faults-mutants: $(tools) ## planted bugs, one at a time: does that find each of them?
	@PYTHONPATH=tests $(bin)/python -m faults.mutants $(ARGS)

galera: $(tools) ## the suites on three nodes of MariaDB Galera, which are also killed (12 minutes)
	@PYTHONPATH=tests $(bin)/python -m galera $(ARGS)

rabbit-cluster: $(tools) ## kill -9 nodes of RabbitMQ clusters of two and three: is an event lost? (5 min)
	@PYTHONPATH=tests $(bin)/python -m rabbit_cluster $(ARGS)

fuzz: $(tools) ## requests made up from the APIs' documents, for long: MINUTES=30 SEED=7
	@PYTHONPATH=tests $(bin)/python -m fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: $(tools) ## what each operation costs, beside its floor: DB=... SECONDS=5 (needs wrk)
	@$(measure) $(ARGS)

bench-size: $(tools) ## the same with millions of flights and bookings: DB=mariadb
	@$(measure) --size --rounds 3 $(ARGS)

bench-instructions: $(tools) ## how many instructions the pure hot functions take (needs valgrind)
	@PYTHONPATH=tests:. $(bin)/python -m bench.instructions

bench-capacity: $(tools) ## processes and cores for so many bookings a second, into docs/scale.md
	@PYTHONPATH=tests:. $(bin)/python -m bench.capacity

bench-contention: $(tools) ## conflicts of replicas, measured (MariaDB) and simulated, into docs/scale.md
	@PYTHONPATH=tests:. $(bin)/python -m bench.contended $(ARGS)

bench-pages: $(tools) ## what the pages cost and weigh: DB=mariadb
	@$(measure) --pages --rounds 3 $(ARGS)

bench-memory: $(tools) ## does memory grow under load? MINUTES=60 DB=mariadb
	@$(measure) --memory $(MINUTES) --startup $(ARGS)

check: $(tools) ## style, types, import rules, dependencies and security, all of them even when one fails
	@failed=; \
	try() { echo "== $$*"; "$(bin)/$$@" || failed="$$failed [$$*]"; }; \
	try ruff check; \
	try ruff format --check; \
	try mypy; \
	try lint-imports --no-logo; \
	try deptry src; \
	try bandit --quiet --configfile pyproject.toml --recursive src; \
	test -z "$$failed" || { echo "Not in order:$$failed" >&2; exit 1; }

audit: $(tools) ## are locked packages known to be vulnerable? exits with 3 when nobody could be asked
	@$(bin)/python scripts/audit.py $(ARGS)

screenshots: $(tools) ## the pictures in README.md, into docs/images (needs Chromium)
	@PYTHONPATH=tests $(bin)/python scripts/screenshots.py

sbom: $(tools) ## write dist/skyhold.cdx.json: what Skyhold is made of (CycloneDX)
	@$(bin)/python scripts/sbom.py

format: $(tools) ## put the code in its format and make the fixes that are safe
	@$(bin)/ruff check --fix-only --quiet
	@$(bin)/ruff format

docs: $(tools) ## write the documents that follow from the code: settings, events, APIs
	@$(bin)/python scripts/docs.py

lock: $(tools) ## write requirements/*.lock for what pyproject.toml asks
	@$(lock) $(ARGS) --group build --output-file requirements/run.lock
	@$(lock) $(ARGS) --extra otel --constraint requirements/run.lock \
	    --output-file requirements/otel.lock
	@$(lock) $(ARGS) --group dev --constraint requirements/run.lock \
	    --constraint requirements/otel.lock --output-file requirements/dev.lock
	@echo "requirements/run.lock, otel.lock and dev.lock are up to date"

clean: ## remove what these commands made; your data stays
	@rm -rf $(venv) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(bin)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    found=$$($(PYTHON) --version 2>&1) || found='not there'; \
	    echo "Skyhold needs Python 3.11 or newer; '$(PYTHON)' is $$found." >&2; \
	    echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Creating $(venv) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(venv) || { rm -rf $(venv); exit 1; }

$(ready): $(bin)/python requirements/run.lock pyproject.toml
	@echo "Installing what the service needs (requirements/run.lock)"
	@$(pip) install --require-hashes -r requirements/run.lock
	@$(pip) install --no-deps --no-build-isolation --editable .
	@touch $@

# The development lock holds all of the other one, at the same versions.
$(tools): $(bin)/python requirements/dev.lock pyproject.toml
	@echo "Installing what development needs (requirements/dev.lock)"
	@$(pip) install --require-hashes -r requirements/dev.lock
	@$(pip) install --no-deps --no-build-isolation --editable .
	@touch $(ready) $@
