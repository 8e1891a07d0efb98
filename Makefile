PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true

# What a lock pins into .venv, held to its hashes. The lock has none of PyTorch for the CPU alone, which is on an index of its own.
install = $(if $(UV),uv pip install --python .venv,$(BIN)/pip install) --require-hashes --no-deps --requirement

# .venv/torch says which PyTorch was chosen, and later calls go by it: neither of the two installs over the other.
chosen := $(shell cat .venv/torch 2>/dev/null)
TORCH ?= $(chosen)
ifneq ($(filter-out cpu,$(TORCH)),)
$(error TORCH is $(TORCH); expected cpu)
endif
ifneq ($(TORCH),$(chosen))
$(if $(wildcard .venv/torch .venv/ready),$(error .venv was made with$(if $(chosen),,out) TORCH=cpu; to change that, rm -r .venv first))
endif

ifeq ($(TORCH),cpu)
SIZE := 2 GB, with PyTorch for the CPU alone
locked = $(if $(UV),,$(error TORCH=cpu needs uv; pip install uv, or make a .venv without TORCH=cpu)).venv/requirements.lock
else
SIZE := 6.7 GB, most of it PyTorch with what it needs on a GPU
locked = requirements.lock
endif

.DEFAULT_GOAL := help
.PHONY: help install repro test test-all lint docs ui app sync-mlflow compare perceptual lock server member backup restore join share

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 13

.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	@echo "installs $(SIZE), into .venv"
	$(PYTHON) -m venv .venv
	@echo $(TORCH) > .venv/torch
ifeq ($(TORCH),cpu)
	awk '/^[^ ]/ { cuda = /^(torch=|triton|nvidia-|cuda-)/ } !cuda' $< > $(locked)
	uv pip install --python .venv --torch-backend cpu --no-deps "$$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' $<)"
endif
	$(install) $(locked)
	$(BIN)/pip install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: requirements-dev.lock .venv/ready
	$(install) $<
	@touch $@

install: .venv/ready  ## create the environment; TORCH=cpu for a machine without a GPU

repro: .venv/ready  ## run the pipeline to the end and bring MLflow up to date
	dvc repro
	mendline sync

# A module's tests share its fixtures, so one process runs them; in the order of the folders no long module comes last.
PYTEST := OMP_NUM_THREADS=1 pytest -n auto --dist loadscope --no-loadscope-reorder

test: .venv/dev  ## run the tests that a change should pass, on all cores; minutes
	$(PYTEST) -m "not long and not slow"

test-all: .venv/dev  ## run the tests that `make test` leaves out: kills, generated inputs, many stages
	$(PYTEST) -m "long and not slow"

lint: .venv/dev  ## check style and types
	ruff check .
	ruff format --check .
	mypy
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.compose-spec team/compose.yaml

docs: .venv/dev  ## build the pages of docs/ into site/
	mkdocs build --strict

sync-mlflow: .venv/ready  ## bring MLflow up to date with what DVC has, without running a stage
	mendline sync

compare: .venv/ready  ## print the experiments side by side, as DVC and MLflow have them
	@mendline compare

ui: .venv/ready  ## open MLflow on http://127.0.0.1:5000, or say where the team's is
	@-mendline sync
	@team=$${MLFLOW_TRACKING_URI:-$$(dotenv --file .env get MLFLOW_TRACKING_URI 2>/dev/null)}; \
	if [ -n "$$team" ]; then echo "$$team/#/experiments"; exit; fi; \
	echo "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=mendline"; \
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --backend-store-uri sqlite:///mlflow.db

join: .venv/ready  ## join a team: make join URL=http://HOST:5000 NAME=ann; it asks for the password
	@mendline join "$(URL)" $(if $(NAME),--name "$(NAME)") $(if $(REMOTE),--remote "$(REMOTE)")

share: .venv/ready  ## send data, run-cache, experiments and rows to the team
	@mendline share

server: .venv/ready  ## run a team's server in docker; FOLDER=/srv/mendline without docker; URL=http://HOST:5000 for others
	@python -m pipeline.serve $(if $(FOLDER),"$(FOLDER)",--docker) $(if $(URL),--url "$(URL)")

member: .venv/ready  ## on the server: let a member in, or give a new password: make member NAME=ann
	@mendline member "$(NAME)"

backup: .venv/ready  ## on the server: write all that it has into a new folder: make backup FOLDER=/backups/monday
	@mendline backup "$(FOLDER)"

restore: .venv/ready  ## on an empty server: put a backup back: make restore FOLDER=/backups/monday
	@mendline restore "$(FOLDER)"

app: .venv/ready  ## open the page on which pictures are restored, http://127.0.0.1:7860
	mendline app

perceptual: .venv/dev  ## fetch the networks that judge how real a restoration looks, 80 MB, into .cache/perceptual
	mendline fetch

COMPILE = uv pip compile $(if $(UPGRADE),--upgrade) --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra app --extra team

lock: .venv/dev  ## pin the packages that pyproject.toml allows; UPGRADE=1 takes the newest of them
	$(COMPILE) --group build --output-file requirements.lock pyproject.toml
	$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	awk 'NR == FNR { base[$$1]; next } /^[^ ]/ { known = $$1 in base } !known' requirements.lock requirements-dev.lock > .venv/dev.lock
	mv .venv/dev.lock requirements-dev.lock
