# The commands a person uses. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Outside the checkout, so that a second clone builds in seconds.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/orlop/target

.PHONY: help build
help: ## list these commands
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24' 'maturin>=1.16,<2'
	$(BIN)/python -c "import tomllib,subprocess,sys; p=tomllib.load(open('pyproject.toml','rb'))['project']; subprocess.check_call([sys.executable,'-m','pip','install','--quiet','--disable-pip-version-check',*p['dependencies'],*p['optional-dependencies']['dev']])"
	@touch $@

build: $(VENV)/.installed ## the development environment .venv, with the extension in release mode
	@mkdir -p "$(CARGO_TARGET_DIR)"
	flock "$(CARGO_TARGET_DIR)/.orlop-build" $(BIN)/maturin develop --quiet --release
