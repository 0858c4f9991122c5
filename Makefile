# make run starts the app, make test runs every test. Both make .venv themselves; Python 3.11 or newer is all they need.

PORT ?= 8501
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/installed-run
DEV_STAMP := $(VENV)/installed-dev
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517

.PHONY: help run test faults soak image screenshots lint types clean

help:
	@echo "make run    start the app on http://localhost:$(PORT); another port: make run PORT=8502"
	@echo "make test   run every test"
	@echo "make faults run the long attacks and failures: workers killed at every point, lying networks, full disks"
	@echo "make soak   let shops live fast under every fault for five minutes, then compare row by row"
	@echo "make image  try each step of the Dockerfile without an engine, as root; three minutes"
	@echo "make screenshots  write a picture of every page, light and dark, wide and on a phone, into build/screenshots"
	@echo "make lint   check the style"
	@echo "make types  check the types"
	@echo "make clean  remove .venv and caches; data/ stays"

run: $(RUN_STAMP)
	@$(BIN)/python -m core welcome --port $(PORT)
	@exec $(BIN)/python -m streamlit run app.py --server.port $(PORT)

# First what needs nothing but the processor: a file stays on one of three processes, so that its servers and databases
# start once. Then, one after the other and with the machine to themselves, those that drive a browser, kill workers or
# start the whole program: they wait for others as a person does, and no longer. Compiled files are kept even where the
# environment says not to: every process that a test starts would compile the program anew.
ALONE := tests/browser tests/faults tests/test_worker.py tests/test_app.py tests/test_deployment.py
test: $(DEV_STAMP)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ALONE:%=--ignore=%)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(ALONE)

# What make test leaves out because it takes minutes.
faults: $(DEV_STAMP)
	$(BIN)/python -m pytest -m faults

# So long on each database; then the tables have to equal the shops.
soak: $(DEV_STAMP)
	SOAK_S=130 $(BIN)/python -m pytest tests/faults/test_soak.py

image: $(DEV_STAMP)
	$(BIN)/python -m tests.image

# Into another folder: make screenshots FOLDER=there. Some minutes.
FOLDER ?= build/screenshots
screenshots: $(DEV_STAMP)
	$(BIN)/python -m tests.screenshots $(FOLDER)

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip comes last into a new environment, so it stands for a whole one: a half-made one is made again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Shoptally needs Python 3.11 or newer, and $(PYTHON) is not. Install it, or name it: make run PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: apt install python3-venv" >&2; \
	  exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)

$(RUN_STAMP): requirements.txt | $(BIN)/pip
	@echo "Installing what requirements.txt lists; the first time this takes about a minute"
	@$(INSTALL) -r requirements.txt
	@touch $@

$(DEV_STAMP): requirements.txt requirements-dev.txt | $(BIN)/pip
	@echo "Installing what requirements-dev.txt lists; the first time this takes about a minute"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@
