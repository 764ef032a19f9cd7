# Needs Python 3.11 or newer and make; everything else is installed into .venv by `make setup`.
# Another Python: make setup PYTHON=/path/to/python

VENV := .venv
INSTALLED := $(VENV)/.installed
# The one place that says which PyTorch: constraints.txt.
TORCH := $(shell sed -n 's/^\(torch==[^ ]*\).*/\1/p' constraints.txt)
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
EXAMPLES := $(wildcard examples/*.py)
# benchmarks/_*.py are what several benchmarks share.
# quality.py measures nothing itself.
BENCHMARKS := $(filter-out benchmarks/_% benchmarks/quality.py,$(wildcard benchmarks/*.py))

.PHONY: help setup demo test ci ci-slow ci-examples ci-readme check bench quality-check docs
# Stages of ci share the processor and the run directories, so they never run side by side.
.NOTPARALLEL:

help:
	@echo "make setup   make .venv and install the package and its development tools (once)"
	@echo "make demo    run the main job on a small real data set"
	@echo "make test    fast tests"
	@echo "make ci      check, docs, slow tests, examples, the code blocks of the README"
	@echo "make check   ruff, mypy, import directions"
	@echo "make bench   every benchmark at its --quick size"
	@echo "make quality-check   what is asked of the search against what was measured"
	@echo "make docs    check the links between the Markdown files"

setup: $(INSTALLED)

# Done once, and again when what is to be installed has changed. PyTorch comes first and by itself: this exact version
# also has a build for the CPU only, and where pip is set up to find that one, nothing may pull another in its place.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dashnas needs Python 3.11 or newer; got " + sys.version.split()[0] + "; try: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(TORCH)
	$(VENV)/bin/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	$(VENV)/bin/python examples/demo.py

test: setup
	$(VENV)/bin/pytest -m "not slow"

ci: check docs ci-slow ci-examples ci-readme

ci-slow: setup
	$(VENV)/bin/pytest -m slow

ci-examples: setup
	@set -e; for example in $(EXAMPLES); do echo "== $$example"; $(VENV)/bin/python $$example; done

ci-readme: setup
	$(VENV)/bin/python tools/run_readme.py

check: setup
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy src tools
	$(VENV)/bin/lint-imports

quality-check: setup
	$(VENV)/bin/python benchmarks/quality.py

bench: setup
ifeq ($(BENCHMARKS),)
	@echo "there are no benchmarks in benchmarks/ yet"
else
	@set -e; for benchmark in $(BENCHMARKS); do echo "== $$benchmark"; $(VENV)/bin/python $$benchmark --quick; done
endif

# The documentation is Markdown that is read where it lies; nothing is built.
docs: setup
	$(VENV)/bin/python tools/check_links.py
