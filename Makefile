# Everything happens in a virtual environment of its own, .venv; PYTHON chooses what makes it.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: demo test test-all lint format bench docs clean

# Packs the Python that .venv was made with, without any network; the bundle then installs itself.
demo: .venv/ready
	@rm -rf .demo && mkdir .demo
	@set -e; unset KITBAG_ROOT KITBAG_BIN_DIR PYTHONPATH PYTHONHOME; \
	show() { echo; echo "$$ $$*"; "$$@"; }; \
	base=$$($(BIN)/python -c 'import sys; print(sys.base_prefix)'); \
	minor=$$($(BIN)/python -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); \
	show $(BIN)/kitbag pack --from "$$base/bin/$$minor" -o .demo/tools.kitbag; \
	show $(BIN)/kitbag show .demo/tools.kitbag; \
	show sh .demo/tools.kitbag --root .demo/elsewhere --bin-dir .demo/bin; \
	show .demo/bin/$$minor -c 'import ssl, sys; print("Python", sys.version.split()[0], "in", sys.prefix)'; \
	show .demo/bin/kitbag verify --root .demo/elsewhere; \
	echo; echo "Done. Carry .demo/tools.kitbag to any such Linux; sh tools.kitbag does the rest."

test: .venv/ready-test
	$(PYTEST) -m "not slow"

test-all: .venv/ready-test
	$(PYTEST)

lint: .venv/ready-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready-test
	$(BIN)/python benchmarks/bench.py

docs: .venv/ready-docs
	$(BIN)/mkdocs build --strict --quiet --site-dir build/docs
	@echo "build/docs/index.html"

clean:
	rm -rf .venv .demo .cache build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "kitbag needs Python 3.11 or newer; set PYTHON=..." >&2; exit 5; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"

.venv/ready: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/ready-%: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group $*
	@touch $@
