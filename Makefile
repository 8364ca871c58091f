# `make demo` and `make test` need nothing but make and a Python 3.11 or later with its venv module.
# Everything is installed into $(VENV); nothing outside this directory changes.
#
#   make PYTHON=python3.13 test      choose the interpreter (the environment is made anew if needed)
#   make test ARGS="-k gap -x"       options for pytest, demo.py or the benchmarks
#   make bench BENCHMARKS=benchmarks/tabular.py    one benchmark instead of all
#   make bench-compare BASE=main     this tree against another revision, in one run
#   make doc DOC_URL=https://...     with the address where the pages will lie: a sitemap
#   make VENV=/tmp/env test          put the environment elsewhere

VENV ?= .venv
ARGS ?=
BASE ?=
DOC_URL ?=
# What pip installs as PyTorch. The tests run on the processor; TORCH=torch brings, on Linux, all of
# CUDA, some gigabytes.
TORCH ?= torch --index-url https://download.pytorch.org/whl/cpu --retries 1
TORCH_TESTS = tests/export/test_torch.py tests/test_array_api.py tests/core/problem/test_engines.py tests/core/problem/test_samples.py -k torch
# Interpreters to try, in this order, when PYTHON is not given.
PYTHON ?=
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python

RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
INSTALLED = $(VENV)/.installed-$(1)
BENCHMARKS = $(filter-out benchmarks/common.py benchmarks/compare.py benchmarks/_%,$(sort $(wildcard benchmarks/*.py)))

.PHONY: help demo test test-kernels test-torch run-torch coverage lint format doc dist bench bench-compare clean FORCE
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Byte code is kept, whatever the environment says: every process of the tests would otherwise
# compile the package and the tests anew.
export PYTHONDONTWRITEBYTECODE :=

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: $(call INSTALLED,plot)  ## compare the estimators with scikit-learn's on real data; writes demo.png
	$(RUN) examples/demo.py $(ARGS)

test: $(call INSTALLED,test)  ## run the tests, in as many processes as there are cores
	$(RUN) -m pytest -n auto --dist worksteal $(ARGS)

test-kernels: $(call INSTALLED,test)  ## run the numerical tests on the BLAS kernels of other processors
	$(RUN) -m tests.blas_kernels $(ARGS)

test-torch:  ## run the tests that need PyTorch, in an environment of their own, $(VENV)-torch
	$(MAKE) VENV="$(VENV)-torch" run-torch

run-torch: $(READY) pyproject.toml
	@$(RUN) -c "import torch" 2>/dev/null || $(RUN) -m pip install --quiet --disable-pip-version-check $(TORCH)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[torch-test]"
	$(RUN) -m pytest -n auto $(TORCH_TESTS) $(ARGS)

coverage: $(call INSTALLED,test)  ## run the tests and list the lines that they miss
	$(RUN) -m coverage erase
	$(RUN) -m coverage run -m pytest -n auto $(ARGS)
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

lint: $(call INSTALLED,lint)  ## check style, formatting and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(call INSTALLED,lint)  ## repair style and formatting
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

doc: $(call INSTALLED,doc)  ## check the docstrings, build the documentation in doc/_build/html
	$(RUN) -m numpydoc lint sklearn_convexnn/*.py sklearn_convexnn/inspection/*.py sklearn_convexnn/export/*.py
	DOC_URL="$(DOC_URL)" $(RUN) -m sphinx -W --keep-going -b html doc doc/_build/html

dist: $(call INSTALLED,dist)  ## build the archives, check them, try the wheel in an environment of its own
	rm -rf build dist
	$(RUN) -m build --outdir dist
	$(RUN) -m twine check --strict dist/*
	$(RUN) -m tests.archives dist

bench: $(call INSTALLED,bench)  ## run every benchmark
	@test -n "$(BENCHMARKS)" || { echo "There is no script in benchmarks/ to run."; exit 1; }
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(RUN) "$$script" $(ARGS); done

bench-compare: $(call INSTALLED,bench)  ## BASE=revision: this tree against another, ratios of CPU time
	@test -n "$(BASE)" || { echo "Say what to compare with: make bench-compare BASE=main"; exit 1; }
	$(RUN) benchmarks/compare.py --base "$(BASE)" $(ARGS)

clean:  ## remove the environment and everything that was generated
	rm -rf "$(VENV)" "$(VENV)-torch" build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	rm -rf doc/_build doc/api/generated doc/auto_examples doc/sg_execution_times.rst doc/plot_directive
	rm -f demo.png .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each extra: install again when the metadata changed or the environment is new.
$(VENV)/.installed-%: $(READY) pyproject.toml setup.cfg
	@echo "Installing sklearn_convexnn with the extra '$*' into $(VENV) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch "$@"

# The environment. This recipe always runs, but touches its target only when it makes the
# environment anew: because there is none, it no longer starts, the checkout was moved, or PYTHON
# asks for another interpreter.
$(READY): FORCE
	@set -e; \
	wanted="$(PYTHON)"; \
	if [ -f "$@" ] && "$(RUN)" -c "" 2>/dev/null \
	   && [ "$$(sed -n 1p "$@")" = "$(CURDIR)" ] \
	   && { [ -z "$$wanted" ] || [ "$$(sed -n 2p "$@")" = "$$wanted" ]; }; then exit 0; fi; \
	python=""; seen=""; \
	for candidate in $${wanted:-$(CANDIDATES)}; do \
	    version=$$("$$candidate" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null) || continue; \
	    seen="$$seen $$candidate($$version)"; \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	        python="$$candidate"; break; \
	    fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "sklearn_convexnn needs Python 3.11 or later; found:$${seen:- no working interpreter}." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.11 demo" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$python has no venv module. On Debian or Ubuntu: apt install python3-venv." >&2; \
	    echo "Or name another interpreter: make PYTHON=/path/to/python3.11 demo" >&2; exit 1; \
	fi; \
	echo "Making the environment $(VENV) with $$python ($$version) ..."; \
	"$$python" -m venv --clear "$(VENV)"; \
	printf '%s\n%s\n' "$(CURDIR)" "$$python" > "$@"

FORCE:
