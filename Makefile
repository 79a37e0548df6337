# Each target does its own set-up, from nothing but Python 3.11 and make, and does again only what has changed.

SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# Two environments are installed at once, which is what takes the time on a fresh machine.
MAKEFLAGS     += -j2 --no-print-directory

# A version manager's shim answers to the name without being the interpreter, and not in every directory: so the name is
# tried, and the interpreter behind it is what is used.
PYTHON  ?= python3.11
BASE    := $(shell for p in "$(PYTHON)" python3.11 python3 python3.12 python3.13; do \
             "$$p" -c 'import sys; assert sys.version_info >= (3, 11); print(sys._base_executable)' 2>/dev/null && break; done)
PY      := .venv/bin/python
SAM      = env -u MAKEFLAGS -u MFLAGS SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-eu-central-1} .venv-sam/bin/sam
# Wheels only: nothing is compiled, and no package runs code of its own while it is installed. Whose index they come from
# is the business of the machine's own pip configuration.
INSTALL  = -m pip install --quiet --no-input --disable-pip-version-check --no-compile --no-deps --require-hashes --only-binary=:all:
SOURCES := template.yaml samconfig.toml $(shell find functions layers -type f \( -name '*.py' -o -name Makefile -o -name requirements.txt \) 2>/dev/null)
TEMPLATES = template.yaml $(wildcard products/*.yaml)
CHECKOV  = .venv-checkov/bin/checkov --framework cloudformation --skip-download --compact --quiet
CODE     = layers/ipam/ipam $(wildcard local tools bench tests)

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

# ------------------------------------------------------------------------------------------------------------- use it
.PHONY: demo
demo: .venv/.stamp build ## deploy to the local twin, order addresses from a stack, give them back
	@$(PY) -m local.demo

.PHONY: local
local: .venv/.stamp build ## the local twin in the foreground, until Ctrl-C; `. .local/env` in another shell
	@exec $(PY) -m local

.PHONY: publish
publish: .venv/.stamp .venv-sam/.stamp .venv-checkov/.stamp ## the products into Service Catalog: PUBLISH_ARGS="--share o-..."; see tools/publish.py
	@.venv-sam/bin/cfn-lint $(wildcard products/*.yaml)
	@$(CHECKOV) $(patsubst %,--file %,$(wildcard products/*.yaml))
	@$(PY) -m tools.publish $(PUBLISH_ARGS)

# A file is one process's business: what its tests share, such as a twin, is started once.
.PHONY: test
test: .venv/.stamp build ## every test
	@$(PY) -m pytest --numprocesses=2 --dist=loadfile $(PYTEST_ARGS)

.PHONY: bench
bench: .venv/.stamp build ## the figures of bench/README.md, measured here
	@$(PY) -m bench

# Every tool has its say before the target fails.
.PHONY: check
check: .venv/.stamp .venv-sam/.stamp .venv-checkov/.stamp ## style, types, architecture and templates
	@failed=0; run() { echo "$$*"; "$$@" || failed=1; }; \
	run .venv/bin/ruff check --quiet .; \
	run .venv/bin/ruff format --check --quiet .; \
	run .venv/bin/mypy $(CODE); \
	for function in functions/*/; do run .venv/bin/mypy "$$function"; done; \
	run .venv/bin/lint-imports; \
	run .venv-sam/bin/cfn-lint $(TEMPLATES); \
	run $(SAM) validate --lint --template-file template.yaml; \
	run $(CHECKOV) $(TEMPLATES:%=--file %); \
	exit $$failed

.PHONY: fix
fix: .venv/.stamp ## let ruff put right what it can
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# ----------------------------------------------------------------------------------------------------------- build it
.PHONY: build
build: .aws-sam/.stamp ## the functions and the layer as they are deployed, in .aws-sam/build

.aws-sam/.stamp: $(SOURCES) | .venv-sam/.stamp
	@echo "building the functions and the layer (sam build)"
	@mkdir -p .build
	@PYTHON="$(CURDIR)/.venv-sam/bin/python" $(SAM) build > .build/sam-build.log 2>&1 || { cat .build/sam-build.log; exit 1; }
	@grep -h '^layer:' .build/sam-build.log || true
	@touch $@

# One environment each, because SAM and checkov pin versions that clash with the others'. A changed file of requirements
# makes the environment anew, so that nothing of the old one is left in it.
.venv/.stamp: requirements/dev.txt pyproject.toml
	$(environment)
	@.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation \
	  --editable . >> .build/$(@D).log 2>&1 || { cat .build/$(@D).log; exit 1; }
	@touch $@

.venv-sam/.stamp: requirements/sam.txt
	$(environment)
	@touch $@

.venv-checkov/.stamp: requirements/checkov.txt
	$(environment)
	@touch $@

# What pip says is kept in .build, and shown when it fails.
define environment
@test -n "$(BASE)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
@echo "installing $< in $(@D) (once; about half a minute)"
@rm -rf "$(@D)"
@mkdir -p .build
@{ "$(BASE)" -m venv "$(@D)" && "$(@D)/bin/python" $(INSTALL) -r $<; } > .build/$(@D).log 2>&1 || { cat .build/$(@D).log; exit 1; }
endef

.PHONY: set-up
set-up: .venv/.stamp .venv-sam/.stamp .venv-checkov/.stamp ## every environment

# ------------------------------------------------------------------------------------------------------------ keep it
COMPILE = .venv-lock/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-options \
          --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.venv-lock/.stamp: requirements/lock.txt
	$(environment)
	@touch $@

.PHONY: requirements
requirements: .venv-lock/.stamp ## requirements.txt files from their .in files; UPGRADE=--upgrade moves to newer versions
	@for set in layers/ipam/requirements requirements/dev requirements/sam requirements/checkov requirements/lock; do \
	  echo "$$set.txt"; CUSTOM_COMPILE_COMMAND="make requirements" $(COMPILE) $(UPGRADE) --output-file="$$set.txt" "$$set.in"; done

.PHONY: clean
clean: ## remove everything that was made here
	rm -rf .aws-sam .build .local .venv .venv-sam .venv-checkov .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache layers/ipam/*.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
