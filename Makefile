# make serve   a working queue API on an embedded Postgres
# make test    all checks: format, lint, types, tests; COVERAGE=1 prints the lines that no test runs
# make docs    the documentation's site, in site/
# make bench   performance, compared with other servers, in ten minutes; BENCH="--quick" in one

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/clients/node
# npm writes this file when all packages are installed.
NODE_PACKAGES := $(NODE)/node_modules/.package-lock.json
# Without a registry, npm gives up after seconds instead of minutes.
NPM_CI := npm ci --prefix $(NODE) --no-audit --no-fund --loglevel=error \
	--fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=30000
# Files in the order of their names: with its own order, xdist starts long files of few tests last.
PYTEST_OPTIONS := --numprocesses auto --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/pip --quiet --disable-pip-version-check install

.PHONY: serve test check bench lock dist schema clean

serve: $(VENV)/installed
	@exec $(BIN)/pgmq-gateway serve

test: check $(NODE_PACKAGES)
ifdef COVERAGE
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_OPTIONS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
else
	$(BIN)/pytest $(PYTEST_OPTIONS)
endif

check: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# NO_MKDOCS_2_WARNING hides an advertisement.
docs: $(VENV)/installed-test
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# The generated pages of docs/reference.
reference: $(VENV)/installed-test
	@$(BIN)/python -m website.reference

bench: $(VENV)/installed
	@$(BIN)/python -m bench $(BENCH)

# Packages for the tests that run Node.js. If they cannot be installed, those tests are skipped; with REQUIRE_ALL=1 it is
# an error.
$(NODE_PACKAGES): $(NODE)/package-lock.json
	@if ! command -v npm >/dev/null; then \
		problem="npm is not installed"; \
	else \
		echo "Installing packages for the tests that run Node.js"; \
		problem=$$($(NPM_CI) 2>&1) && exit; \
	fi; \
	if [ "$$REQUIRE_ALL" ]; then echo "$$problem" >&2; exit 1; fi; \
	echo "$$problem" | { read -r line; echo "Skipping tests that need packages for Node.js: $$line"; }

# The locks: versions within pyproject.toml's ranges.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --upgrade \
	--extra dashboard --extra embedded
lock:
	$(PIP) uv
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --extra docs --extra otel --extra test -c requirements.lock pyproject.toml -o requirements-test.lock

# What PyPI gets: sdist and wheel of both distributions.
dist: $(VENV)/bin/pip
	$(PIP) build
	rm -rf dist
	for project in . packaging/pgmq-gateway; do $(BIN)/python -m build --outdir dist $$project || exit; done

# The committed dump of an installed database; the diff is part of the review.
schema: $(VENV)/installed-test
	UPDATE_SCHEMA=1 $(BIN)/pytest -q tests/sql/test_schema.py

# Secrets for docker-compose.yml; an existing .env is kept.
.env:
	@umask 077 && $(PYTHON) -c 'import secrets; [print(f"{name}={secrets.token_hex(32)}") for name in ("POSTGRES_PASSWORD", "AUTHENTICATOR_PASSWORD", "PGRST_JWT_SECRET")]' > $@
	@echo "Wrote .env"

clean:
	rm -rf $(VENV) site $(NODE)/node_modules .ci/postgres/node_modules dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/pip:
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pgmq-gateway needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/pip pyproject.toml requirements.lock
	@echo "Installing pgmq-gateway into $(VENV)"
	@$(PIP) --requirement requirements.lock
	@$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed requirements-test.lock
	@echo "Installing what the tests need"
	@$(PIP) --requirement requirements-test.lock
	@touch $@
