# `make test` and `make demo` need only Python 3.11+ and pip: both create .venv and install into it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.PHONY: install test demo lint format clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

test: install
	$(BIN)/pytest -n 2

demo: install
	$(BIN)/nbeval run --method gaea_darts,darts --dataset digits --seeds 2 --scale small --workers 2
	$(BIN)/nbeval compare
	$(BIN)/nbeval plot

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
