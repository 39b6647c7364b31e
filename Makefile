# Two commands matter: `make demo` shows the product, `make test` proves it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ONCE   ?=
N      ?= 10000
ROUNDS ?= 1
LIMIT_S ?= 1800

.PHONY: demo test test-faults bench fuzz lint script system lock clean

demo: $(VENV)/.runtime
	$(BIN)/edge demo $(if $(ONCE),--once)

test: $(VENV)/.dev node_modules/.installed | system
	$(BIN)/python -m pytest $(PYTEST)

# What `make test` plays a few times, many times over: deaths, power cuts, networks, disks, planted bugs and random lives,
# each round with other randomness. Before the rounds come, once, a backlog of 100,000 and six hours without a destination,
# minute by minute (for a release OUTAGE_EVENTS=1000000 python -m pytest tests/component/test_outage.py).
# `ROUNDS=2` and more bound it further; none goes on beyond LIMIT_S, half an hour by default. What the rounds bound is printed,
# and docs/reliability-report.md is written anew.
test-faults: $(VENV)/.dev
	@mkdir -p build; rm -f build/faults.jsonl; end=$$(( $$(date +%s) + $(LIMIT_S) )); \
	BACKLOG_EVENTS=100000 timeout 600 $(BIN)/python -m pytest -q tests/component/test_backlog_pace.py || exit 1; \
	OUTAGE_EVENTS=20000 timeout 600 $(BIN)/python -m pytest -q tests/component/test_outage.py || exit 1; \
	for round in $$(seq $(ROUNDS)); do \
	  seed=$${SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}; left=$$(( end - $$(date +%s) )); \
	  echo "round $$round of $(ROUNDS): SEED=$$seed"; \
	  [ $$left -gt 0 ] || { echo "the time is over after $$(( round - 1 )) rounds" >&2; exit 1; }; \
	  SEED=$$seed FAULTS=long FAULTS_REPORT=build/faults.jsonl IDENTITY_SEQUENCES=5000 RELEASED_EVENTS=10000 \
	  timeout --signal INT --kill-after 60 $$left $(BIN)/python -m pytest -q \
	    tests/faults tests/component/test_identity_machine.py tests/component/test_release_of_many.py || exit 1; \
	done

# The goals of docs/performance.md, each beside its base in one run, exit 1 when a bar is missed; and what the script
# costs in Chromium, where nothing is judged. QUICK=1 ends within
# 90 s; ONLY=1,5 ROUNDS=7 SECONDS=2 BACKLOG=10000000 OUT=file.json narrow or widen it.
bench: $(VENV)/.dev | system
	$(BIN)/python -m bench
	$(BIN)/python -m bench.script

# Many more of the loader's documents than `make test` takes, each within its limits of time and memory.
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz.loader $(N)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

script: node_modules/.installed
	node static/build.mjs

# What the tests need from the distribution; one line says what to install where this may not.
system:
	@missing=""; for tool in nginx chromium node npm; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	  packages=$$(echo "$$missing" | sed 's/\bnode\b/nodejs/'); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$packages >/dev/null; \
	  else echo "missing:$$missing. Install with: sudo apt-get update && sudo apt-get install -y$$packages" >&2; exit 1; fi; \
	fi

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

node_modules/.installed: package-lock.json | system
	npm ci --silent --no-audit --no-fund
	@touch $@

# Needs uv on the path; the lock files carry hashes and no index address.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --extra build -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --extra build --extra dev -o requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) node_modules build dist var .pytest_cache .mypy_cache .ruff_cache
