# `make help` lists what can be made. All of it happens in $(VENV), which is set up on first use: the demo needs a part of
# what the tests need, and takes an environment of theirs as it is.
PYTHON ?= python3
VENV ?= .venv
DEMO ?= runs/demo
PYTEST_ARGS ?= -n auto

comma := ,
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_READY := $(if $(wildcard $(VENV)/.ready),$(VENV)/.ready,$(VENV)/.demo)
SPEC := attention56_cifar
FUZZ_ARGS ?= --count 10000
FRONT_ARGS ?= --count 1000000

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-more check fuzz fuzz-front mutate golden reference zoo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# $(call install,EXTRAS,SIZE): pip is silent while it unpacks, so what is there is said meanwhile.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "archdsl needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 2; }
	@echo "Setting up $(VENV), once: about $(2) with PyTorch for processors, more with its build for GPUs."
	$(PYTHON) -m venv $(VENV)
	@( while sleep 10; kill -0 $$$$ 2>/dev/null; do echo "… $$(du -sm $(VENV) | cut -f1) MB of about $(2)"; done ) & \
		$(BIN)/python -m pip install --constraint constraints.txt --editable '.[$(1)]'; \
		code=$$?; kill $$!; exit $$code
	@touch $@
endef

$(READY): pyproject.toml constraints.txt
	$(call install,torch$(comma)data$(comma)onnx$(comma)dev,3.7 GB)

$(VENV)/.demo: pyproject.toml constraints.txt
	$(call install,torch$(comma)images,1.4 GB)

demo: $(DEMO_READY) ## compile, draw, show, train and evaluate Attention-56 on scikit-learn's digits
	@mkdir -p $(DEMO)
	$(BIN)/archdsl compile $(SPEC) --to torch -o $(DEMO)/$(SPEC).py
	$(BIN)/archdsl draw $(SPEC) -o $(DEMO)/$(SPEC).svg
	$(BIN)/archdsl show $(SPEC)
	@rm -rf $(DEMO)/digits
	$(BIN)/archdsl train $(SPEC) --data digits --epochs 5 --output $(DEMO) --name digits
	$(BIN)/archdsl eval $(DEMO)/digits
	@echo
	@echo "The spec:             specs/$(SPEC).arch"
	@echo "The generated model:  $(DEMO)/$(SPEC).py"
	@echo "The drawing:          $(DEMO)/$(SPEC).svg"
	@echo "The training run:     $(DEMO)/digits (weights, metrics, curves)"

test: $(READY) ## run the fast tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-all: $(READY) ## run every test, and the property tests on six times as many networks
	ARCHDSL_TEST_PROFILE=all $(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(READY) ## format, lint, types and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

test-more: ## run what looks further in `make test-all` than in `make test`
	@$(MAKE) --no-print-directory test-all PYTEST_ARGS="$(PYTEST_ARGS) -m more"

fuzz: $(READY) ## hold 10,000 random specs against their programs; goes on where it was stopped (FUZZ_ARGS="--seed 1 --jobs 2")
	$(BIN)/python tests/properties/fuzz.py $(FUZZ_ARGS)

fuzz-front: $(READY) ## hostile texts for the front end, guided by coverage; goes on where it was stopped (FRONT_ARGS="--longest 300")
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python benchmarks/fuzz_frontend.py $(FRONT_ARGS)

mutate: $(READY) ## break the code in 400 places, one at a time, and count what the tests notice
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[mutate]'
	$(BIN)/python benchmarks/mutation.py

golden: $(READY) ## write the golden files anew, to be read with `git diff`
	-$(BIN)/python -m pytest -q --update-golden
	@git --no-pager diff --stat -- tests

reference: $(READY) ## write docs/ops.md, docs/recipes.md and the tables of docs/architecture.md anew
	-$(BIN)/python -m pytest -q tests/test_docs.py -k "reference or where_things" --update-golden
	@git --no-pager diff --stat -- docs

zoo: $(READY) ## write the index of shipped networks, docs/zoo.md and its drawings anew
	$(BIN)/python -m archdsl.show.zoo

clean: ## remove the environment and what was built
	rm -rf $(VENV) dist build mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis
