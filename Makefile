# Every target needs only Python 3.11+ and pip: it creates .venv and installs what it needs into it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Python compiles a module when it is first imported; pip would compile all of them, most for nothing, in a minute.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --editable
# Where this is set, every test process would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: install test test-browser test-cluster fuzz faults demo docs lint format clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) '.[dev]'
	touch $@

test: install
	$(BIN)/pytest -n 2 --dist worksteal

# The report in a real browser: Debian's chromium, where it is installed.
test-browser: $(VENV)/browser-installed
	$(BIN)/pytest -m browser tests/browser -rs

# Searches on a Ray cluster that is started for them on this machine.
test-cluster: install
	$(BIN)/pytest -m cluster tests/runners/executors -rs

$(VENV)/browser-installed: $(VENV)/installed
	$(PIP_INSTALL) '.[browser]'
	touch $@

# Minutes of random command lines and damaged files; the normal tests try a few hundred, always the same.
fuzz: install
	NBEVAL_FUZZ=20 $(BIN)/pytest tests/fuzz

# Minutes of searches that are killed, stopped and broken at random points; the normal tests try the first two.
faults: install
	$(BIN)/python tests/faults/campaign.py --cases 120

demo: install
	$(BIN)/nbeval run --method gaea_darts,darts --dataset digits --seeds 2 --scale small --workers 2
	$(BIN)/nbeval compare
	$(BIN)/nbeval plot

# The pages are in docs/_build/html. A warning fails the build.
docs: $(VENV)/docs-installed
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

$(VENV)/docs-installed: $(VENV)/installed
	$(PIP_INSTALL) '.[docs]'
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache
