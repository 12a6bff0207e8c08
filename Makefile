# The commands a person uses. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UP := build/up
# Outside the checkout, so that a second clone builds in seconds.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/orlop/target
# Two checkouts share that folder, and cargo tells their files apart by time alone: rust/core/build.rs looks at this.
export ORLOP_CHECKOUT := $(CURDIR)
# Warnings of the Rust code are errors everywhere.
export RUSTFLAGS ?= -D warnings
LOCKED := flock "$(CARGO_TARGET_DIR)/.orlop-build"

.PHONY: help tools shim build wheel up down test lint unit bench bench-check campaign clients clean

help: ## list these commands
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

tools: ## check that what a build needs is there, and say what is missing
	@PYTHON=$(PYTHON) scripts/check-tools

$(VENV)/.installed: pyproject.toml | tools
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24' 'maturin>=1.16,<2'
	@$(BIN)/python scripts/requirements.py dev | $(BIN)/python -m pip install --quiet --disable-pip-version-check -r /dev/stdin
	@touch $@

shim: tools ## the embedded runtime's static program, into the package
	@scripts/shim

build: tools shim $(VENV)/.installed ## the development environment .venv, with the extension in release mode
	@mkdir -p "$(CARGO_TARGET_DIR)"
	@$(LOCKED) $(BIN)/maturin develop --quiet --release
	@$(BIN)/python -m compileall -q python/orlop

wheel: tools shim $(VENV)/.installed ## the wheel that users install, in build/wheels
	@mkdir -p "$(CARGO_TARGET_DIR)" build/wheels && rm -f build/wheels/orlop-*.whl
	@$(LOCKED) $(BIN)/maturin build --quiet --profile dist --out build/wheels 2>&1 | { grep -v -e "^🍹" -e "^🐍" -e "^🔗" -e "^📦" || true; }
	@$(BIN)/python scripts/check_wheel.py build/wheels/orlop-*.whl

up: tools ## build, install into a clean environment, start a cluster, deploy examples/hello (RUNTIME=docker)
	@PYTHON=$(PYTHON) scripts/up $(UP) $(or $(RUNTIME),native)

down: ## end the cluster of `make up` and delete everything of it
	@test -x $(UP)/bin/orlop || { echo "no cluster was started from here"; exit 0; }; \
	  $(UP)/bin/orlop down --purge && $(UP)/bin/orlop image rm --force orlop-hello:1

test: build ## everything: lint, types, Rust and Python tests, end to end
	scripts/test

lint: build ## formatting, lint, types, import order, clippy
	scripts/lint

bench: build ## the figures, with machine and versions
	scripts/bench

bench-check: build ## whether a hot path costs more than its stored figure, and every benchmark works (UPDATE=1 stores)
	scripts/bench-check

campaign: build ## the tests that look for rare faults, at length (CAMPAIGN=10 times as long, TESTS=… of these alone)
	ORLOP_CAMPAIGN=$(or $(CAMPAIGN),10) $(BIN)/python -m pytest -q -rP -m campaign $(TESTS)

clients: build ## the tests on fabric8's Java client and kube-rs, which take minutes to build once
	$(BIN)/python -m pytest -q -m foreign

clean: ## remove what was built here
	rm -rf $(VENV) build python/orlop/_core*.so python/orlop/kubelet/runtime/native/bin
