PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help repro test lint ui app sync-mlflow compare lock

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 13

.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

repro: .venv/ready  ## create the environment and run the pipeline to the end
	dvc repro
	python -m pipeline.commands.sync

test: .venv/ready  ## run the tests
	pytest

lint: .venv/ready  ## check style and types
	ruff check .
	ruff format --check .
	mypy

sync-mlflow: .venv/ready  ## bring MLflow up to date with what DVC has, without running a stage
	python -m pipeline.commands.sync

compare: .venv/ready  ## print the experiments side by side, as DVC and MLflow have them
	@python -m pipeline.commands.compare

ui: .venv/ready  ## open MLflow on http://127.0.0.1:5000
	@-python -m pipeline.commands.sync
	@echo "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning"
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --backend-store-uri sqlite:///mlflow.db

app: .venv/ready  ## open the page on which pictures are restored, http://127.0.0.1:7860
	python -m pipeline.commands.app.page

lock: .venv/ready  ## pin the newest packages that pyproject.toml allows
	uv pip compile --universal --upgrade --generate-hashes --no-header --no-annotate --python-version 3.11 --extra app --group dev --output-file requirements.lock pyproject.toml
