# What a developer runs, and what the checks run: the same commands.
#   make demo PYTHON=python3.12    another interpreter (3.11 or newer)
PYTHON ?= python3
BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
WORKERS ?= 2
# A tier of tests by its mark; one that is still empty is no failure.
TIER = @$(PYTEST) -m $(1) || { test $$? -eq 5 && echo "nothing here yet: no test is marked $(1)"; }

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-slow test-web test-third-party test-soak test-fuzz test-mutation web-vendor wheel-test lint format docs docs-site bench clean

help:
	@echo "make demo         train until the robot walks straight; leaves a video and a report (at most 10 minutes)"
	@echo "make serve        the training service with its pages, on http://127.0.0.1:8080 (docs/service.md)"
	@echo "make test         unit tests and contracts (10 minutes on 2 cores)"
	@echo "make test-slow    tests that take minutes"
	@echo "make test-web     tests that need a browser or a database"
	@echo "make test-third-party  examples of other RL libraries, each in an environment of its own"
	@echo "make test-soak    very many steps, files, kills and damages; GAITNET_SOAK=0.1 for a tenth of them"
	@echo "make test-fuzz    100,000 damaged files for the readers (docs/testing.md)"
	@echo "make test-mutation  300 faults put into the code, to see whether the tests notice (docs/testing.md)"
	@echo "make web-vendor   fetch from npm what a page for the browser needs: MuJoCo and ONNX Runtime as WebAssembly"
	@echo "make wheel-test   build wheel and sdist, try the wheel in an empty environment"
	@echo "make lint         ruff, mypy, and the rules of who imports whom"
	@echo "make format       rewrite with ruff"
	@echo "make docs         tables of the documentation, from the layouts that the code uses"
	@echo "make docs-site    the site, into build/site; warnings and broken links are errors"
	@echo "make bench        steps a second, beside bare MuJoCo and process-based vector environments"
	@echo "make clean        remove what was built, .venv included"

# Installed anew only when what is asked for changes.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "GaitNet needs Python 3.11 or newer; run make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	# Its own pins are of 2023; the parts that we use run on the libraries of today, which a test checks.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps imitation==1.0.1
	@touch $@

demo: .venv/installed
	$(BIN)/python -m gait_trainers.demo

serve: .venv/installed
	$(BIN)/gait-serve --home $(or $(GAITNET_HOME),gaitnet-home)

# Files stay together, as their tests share trainings; the long ones come first, see tests/conftest.py.
test: .venv/installed
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: .venv/installed
	$(call TIER,slow)

# What is not installed, a browser, PostgreSQL or Schemathesis, is skipped by name.
test-web: .venv/installed
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[web-tests]"
	-$(BIN)/python -m gait_trainers.web.vendor  # without npm, the tests of pages say what they miss
	$(call TIER,web)

test-third-party: .venv/installed
	$(call TIER,third_party)

test-soak: .venv/installed
	$(PYTEST) tests/soak tests/service -m soak -rP

test-fuzz: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python scripts/fuzz.py --out out/fuzz

test-mutation: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python scripts/mutate.py --out out/mutation

web-vendor: .venv/installed
	$(BIN)/python -m gait_trainers.web.vendor

wheel-test: .venv/installed
	$(BIN)/python scripts/smoke_wheel.py

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/installed
	$(BIN)/python scripts/make_docs.py

# The environment variable: mkdocs-material's notice about its successor, which is no warning about these pages.
docs-site: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

bench: .venv/installed
	$(BIN)/python scripts/bench_env.py --train

clean:
	rm -rf .venv build dist out *.egg-info .pytest_cache .ruff_cache .import_linter_cache .mypy_cache .hypothesis MUJOCO_LOG.TXT
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
