# aiplatform. 'make help' lists what there is. Needs only Python 3.11 or newer, make and git.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Without compiled files every process start compiles all packages again; with them a start takes half a second.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK = 1

PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$name && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
LOCK_HASH = $$($(PYTHON) -c "import hashlib; print(hashlib.sha256(open('requirements.lock', 'rb').read()).hexdigest())")

# Settings as in production, for checks that look at them; nothing is connected to.
PRODUCTION := AIPLATFORM_HTTPS=true AIPLATFORM_HOME=$(CURDIR)/.aiplatform-check ALLOWED_HOSTS=platform.example \
	SECRET_KEY=checked-settings-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ \
	AIPLATFORM_ENCRYPTION_KEYS=check:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= \
	DATABASE_URL=postgresql://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0

# What fails is run once more, alone, and both results are printed: hundreds of these tests time real processes, which a machine that is
# busy with something else can spoil. What fails twice fails.
define suite
$(RUN) -m pytest --cache-clear $(1) || { \
	echo "What failed is run once more, alone."; $(RUN) -m pytest --last-failed --last-failed-no-failures none $(1); }
endef

.PHONY: help setup demo up down status check test chaos soak fuzz browser chromium bench lock clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | while IFS=$$'\t' read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

setup: ## Build .venv from requirements.lock (skipped while the lock is unchanged)
	@if [ -z "$(PYTHON)" ]; then \
		echo "aiplatform needs Python 3.11 or newer; here is $$(python3 --version 2>/dev/null || echo 'no python3'). Install a newer one and run make again." >&2; exit 1; fi
	@if [ -f $(STAMP) ] && [ -x $(RUN) ] && [ "$$(cat $(STAMP))" = "$(LOCK_HASH)" ]; then exit 0; fi; \
	set -e; \
	if [ ! -x $(RUN) ] || ! $(RUN) -m pip --version >/dev/null 2>&1; then \
		rm -rf $(VENV); \
		$(PYTHON) -m venv $(VENV) >$(CURDIR)/.venv.log 2>&1 || { cat .venv.log >&2; rm -rf $(VENV) .venv.log; \
			echo "$(PYTHON) can't make a virtual environment: install its venv module (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }; \
		rm -f .venv.log; \
	fi; \
	echo "Installing the locked packages into $(VENV) (about a minute) ..."; \
	$(RUN) -m pip install -qq --no-input --no-deps --require-hashes -r requirements.lock; \
	echo "$(LOCK_HASH)" > $(STAMP)

demo: setup ## Start everything, run a real sample batch through the local model, show results and cost
	@$(RUN) manage.py demo

up: setup ## Run the whole stack here until Ctrl-C
	@$(RUN) manage.py up

down: setup ## Stop the stack of AIPLATFORM_HOME
	@$(RUN) manage.py down

status: setup ## Ask each part of the running stack to do something
	@$(RUN) manage.py status

check: setup ## Style, types, layers, migrations, settings of production
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-cache
	$(PRODUCTION) $(RUN) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(RUN) manage.py check --deploy --fail-level WARNING

test: check chromium ## All checks, the suite, the chaos cases and the browser smoke
	$(call suite)
	$(call suite,-m "chaos and not long")
	$(call suite,-m browser)

chaos: setup ## Kill processes and stores in mid-work; nothing may be lost or paid twice
	$(RUN) -m pytest -m chaos

soak: setup ## Random faults for SOAK_SECONDS (600) while SOAK_ITEMS (20000) are worked off; SOAK_SEED repeats a run
	$(RUN) -m pytest -m soak -s tests/chaos/test_soak.py

fuzz: setup ## Schemathesis over both APIs for FUZZ_SECONDS (600)
	$(RUN) -m pytest -m fuzz -s tests/journeys/test_fuzz.py

browser: setup chromium ## Click through the admin and Flower in Chromium
	$(RUN) -m pytest -m browser

chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null 2>&1 && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "Installing Chromium for the browser tests ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "The browser tests need Chromium: install it (Debian: sudo apt install chromium) and run make again." >&2; exit 1; \
	fi

bench: setup ## Throughput, latency and ingest against the simulator; writes bench/results
	$(RUN) -m bench

lock: setup ## Resolve pyproject.toml anew into requirements.lock
	$(VENV)/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --all-extras --upgrade pyproject.toml -o requirements.lock

clean: ## Remove .venv and what tools left; data in .aiplatform stays
	rm -rf $(VENV) .aiplatform-check .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
