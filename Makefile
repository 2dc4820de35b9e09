# Two commands need nothing but Python 3.10+, make and a package index: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED ?= $(wildcard ../shared)

.PHONY: help demo test lint format docs cpp-libraries clean

help:
	@echo "make demo    detect objects in real photos; pictures land in demo/"
	@echo "make test    lint, types and tests, as CI runs them"
	@echo "make lint    ruff and mypy only"
	@echo "make docs    the documentation as a site, in site/"
	@echo "make format  let ruff put the code in shape"
	@echo "make cpp-libraries   what cpp/ is built with, by apt; without it its tests are skipped"

demo: $(VENV)/.installed
	@$(BIN)/python tools/demo.py $(if $(SHARED),--shared $(SHARED))

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-dev
	$(BIN)/python -m zensical build --strict
	@echo "Open site/index.html; to search as well, serve it: $(BIN)/python -m http.server --directory site"

CPP_LIBRARIES := cmake g++ nlohmann-json3-dev libcli11-dev doctest-dev libturbojpeg0-dev libstb-dev

cpp-libraries:
	@dpkg -s $(CPP_LIBRARIES) >/dev/null 2>&1 || { apt-get update -qq && apt-get install -qq --no-install-recommends -y $(CPP_LIBRARIES); } >/dev/null

clean:
	rm -rf $(VENV) demo site .cache .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[torch,rtx,gpu,video,plot,quantize]' --group dev
	@touch $@ $(VENV)/.installed
