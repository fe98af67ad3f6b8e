# `make` alone lists what there is. Every target does its own set-up, into .venv, from the pinned closure.

PYTHON ?= python3
STACK ?= dev
ENGINE ?= own
RUN := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help rehearse test bench check format docs lock preview up destroy outputs e2e clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1 - /p' $(MAKEFILE_LIST)

rehearse: .venv/ready ## run STACK (default: dev) against an emulated AWS and Kubernetes; ENGINE=pulumi: by the real CLI
	@$(RUN) -m rehearsal --stack $(STACK) --engine $(ENGINE) $(ARGS)

test: .venv/ready ## run the tests
	@$(RUN) -m pytest $(ARGS)

bench: .venv/ready ## measure up, destroy and the program, next to the possible and to the guide
	@$(RUN) -m bench $(ARGS)

check: .venv/ready ## lint, check formatting and types
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m basedpyright

format: .venv/ready ## format the code
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

docs: .venv/ready ## write the tables of docs/ that are generated
	@$(RUN) -m scripts.configuration_table
	@$(RUN) -m scripts.effects_table

lock: ## pin the closure of requirements.in anew (needs uv)
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-emit-index-url --no-annotate requirements.in -o requirements.txt

preview: .venv/ready ## show what `up` would do to STACK in AWS
	@scripts/pulumi stack select --create $(STACK)
	@scripts/pulumi preview --diff --stack $(STACK) $(ARGS)

up: .venv/ready ## create or update STACK in AWS
	@scripts/pulumi stack select --create $(STACK)
	@scripts/pulumi up --stack $(STACK) $(ARGS)

destroy: .venv/ready ## delete STACK from AWS
	@scripts/pulumi destroy --stack $(STACK) $(ARGS)

outputs: .venv/ready ## print the outputs of STACK as JSON
	@scripts/pulumi stack output --json --stack $(STACK)

e2e: .venv/ready ## prove STACK on its real account: asks first, costs money, destroys what it made
	@scripts/pulumi stack select --create $(STACK)
	@$(RUN) -m e2e --stack $(STACK) $(ARGS)

clean: ## remove what set-up made
	@rm -rf .venv .pulumi-cli .pytest_cache .ruff_cache

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Setting up .venv from requirements.txt (about a minute, once)"
	@$(PYTHON) -m venv --clear .venv
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
	@touch $@
