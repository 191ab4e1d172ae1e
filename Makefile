# isoalign: everything a user or a developer does with this folder.
#
#   make            create the environment in .venv, install, compile the kernels, say what else there is
#   make demo       align a simulated patient with one command; ARGS="--case DIR" for other options
#
# The first call needs Python 3.11 or newer with venv, and a package index; later calls are quick and work offline.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# stamps: what has been installed, and for which lock file
RUNTIME := $(VENV)/.installed-runtime
DEVELOPMENT := $(VENV)/.installed-development
PEERS := $(VENV)/.installed-peers
WARM := $(VENV)/.kernels-compiled
KERNELS := $(shell grep -rl --include='*.py' 'numba' src/isoalign 2>/dev/null)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest --ignore=tests/benchmarks
# tests that no wall clock judges run side by side; real processes in real time run one after the other and come first
TIMELESS := lockstep or timeless or not system
# as many as there are processors: three rooms on two processors made reports of a couch late now and then
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
IN_REAL_TIME_LOG := $(VENV)/tests-in-real-time.log
REAL_TIME_LOCK := $(abspath $(VENV))/tests-in-real-time.lock
# a choice of tests (ARGS) may leave one of the two runs without any, which pytest calls an error
MAY_BE_EMPTY := $(if $(ARGS),|| test $$? -eq 5)

.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

.PHONY: all
all: install help  ## install everything that the demo needs, then print this list

.PHONY: help
help:  ## print this list
	@echo "isoalign: couch geometry and positioning for image-guided radiotherapy"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  make demo ARGS="--case DIR --seed 3"   passes options on; see .venv/bin/isoalign demo --help'

# ---- environment --------------------------------------------------------------------------------------------------

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
		echo "make: there is no '$(PYTHON)'. Install Python 3.11 or newer, or name it: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $$($(PYTHON) --version 2>&1) is too old; isoalign needs Python 3.11 or newer."; \
		echo "      Name another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "make: this Python has no venv module. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "creating the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# one recipe for all lock files: $(1) lock, $(2) stamp, $(3) more options of pip. The lock names every package, so nothing is left to resolve:
# left to itself, pip would look for the newest 'package[extra]' first and refuse it for having no hash in the lock
define install_lock
	@echo "installing $(1)"
	@$(PIP) install --require-hashes --no-deps $(3) -r $(1) || { \
		echo "make: the packages in $(1) could not be installed; the first installation needs a package index."; exit 1; }
	@$(PIP) install --no-build-isolation --no-deps --no-index -e .
	@$(PIP) check >/dev/null || { $(BIN)/python -m pip check; \
		echo "make: $(1) does not hold everything that isoalign needs; pin anew with 'make lock'."; exit 1; }
	@touch $(2)
endef

$(RUNTIME): constraints.txt pyproject.toml | $(BIN)/python
	$(call install_lock,constraints.txt,$@)

$(DEVELOPMENT): constraints-dev.txt $(RUNTIME) | $(BIN)/python
	$(call install_lock,constraints-dev.txt,$@,--no-compile)

$(PEERS): constraints-peers.txt $(DEVELOPMENT) | $(BIN)/python
	$(call install_lock,constraints-peers.txt,$@,--no-compile)

$(WARM): $(RUNTIME) $(KERNELS)
	@$(BIN)/isoalign warmup
	@touch $@

.PHONY: install
install: $(RUNTIME) $(WARM)  ## create .venv, install what runs, compile the kernels

.PHONY: develop
develop: $(DEVELOPMENT) $(WARM)  ## the same with everything that tests, checks and docs need

.PHONY: peers
peers: $(PEERS)  ## the same with the public packages that tests and benchmarks compare with (large)

# ---- use ----------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: install  ## align a simulated patient, from plan to report (ARGS="--case DIR" ...)
	@$(BIN)/isoalign demo $(ARGS)

# ---- quality ------------------------------------------------------------------------------------------------------

.PHONY: check
check: static docs  ## format, lint, strict types, import contracts, generated files, docs with warnings as errors

.PHONY: static
static: develop
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python firmware_protocols/generate.py --check
	$(BIN)/python firmware_protocols/reference_codec.py --check
	$(BIN)/python firmware_protocols/check_compatibility.py

.PHONY: test
test: develop  ## all tests but benchmarks and soak (ARGS="-k name" ..., JOBS=1 for one after the other)
	@ISOALIGN_REAL_TIME_LOCK=$(REAL_TIME_LOCK) $(MAKE) --no-print-directory \
		-j$(if $(filter 1,$(JOBS)),1,2) tests-in-real-time tests-side-by-side

# mostly waits, so that what computes may run beside it: on all processors but one, and on that one, too, when it is over
.PHONY: tests-in-real-time
tests-in-real-time: develop
	@$(PYTEST) -m "not soak and not ($(TIMELESS))" $(ARGS) > $(IN_REAL_TIME_LOG) 2>&1 $(MAY_BE_EMPTY); \
		status=$$?; cat $(IN_REAL_TIME_LOG); exit $$status

.PHONY: tests-side-by-side
tests-side-by-side: develop
	nice -n 19 $(PYTEST) -n $(JOBS) --dist load --maxschedchunk 64 -m "not soak and ($(TIMELESS))" $(ARGS) $(MAY_BE_EMPTY)

# every study, also after one that misses a goal; those are named at the end
.PHONY: bench
bench: develop peers  ## the studies of tests/benchmarks in short form, with their tables
	@missed=; for study in tests/benchmarks/study_*.py; do \
		echo "== $$study $(ARGS)"; $(BIN)/python "$$study" $(ARGS) || missed="$$missed $$study"; done; \
		[ -z "$$missed" ] || { echo "make: a goal is missed in:$$missed"; exit 1; }

.PHONY: soak
soak: develop peers  ## the long proofs in full, 85 minutes of them; call it again to go on (ARGS="--list")
	@$(BIN)/python tests/benchmarks/soak.py $(ARGS)

.PHONY: docs
docs: develop  ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

.PHONY: lock
lock:  ## pin the dependencies anew (needs uv)
	@command -v uv >/dev/null 2>&1 || { echo "make: 'uv' is not installed; it is needed for this target only."; exit 1; }
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile -q pyproject.toml --group build --universal \
		--python-version 3.11 --generate-hashes --no-annotate -o constraints.txt
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile -q pyproject.toml --group dev --universal \
		--python-version 3.11 --generate-hashes --no-annotate -c constraints.txt -o constraints-dev.txt
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile -q pyproject.toml --group peers --universal \
		--python-version 3.11 --generate-hashes --no-annotate -c constraints-dev.txt -o constraints-peers.txt

.PHONY: clean
clean:  ## remove everything that was made here, the environment too
	rm -rf $(VENV) build dist docs/_build docs/generated demo-output soak-output bench-output
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find src tests calibration firmware_protocols docs -name __pycache__ -prune -exec rm -rf {} +
