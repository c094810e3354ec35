# Bourse: everything there is to do here. `make` alone lists it.
#
# One build configuration for everything: release, so that what is tested is what runs, and nothing is compiled twice.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help setup packages build link up down test bench fmt check docs openapi sim

CONFIGURATION := -c release -debug-info-format none
PRODUCTS := .build/release
FORMATTED := Sources Tests Benchmarks Package.swift

help: ## List what there is to do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing from Debian (as root) and build the guest image
	@scripts/setup

build: ## Build bin/bourse and bin/bourse-bench
	@scripts/setup --packages
	@swift build $(CONFIGURATION)
	@$(MAKE) link

link:
	@mkdir -p bin
	@ln -sfn ../$(PRODUCTS)/bourse bin/bourse
	@ln -sfn ../$(PRODUCTS)/bourse-bench bin/bourse-bench

up: setup build ## Run the whole cloud on this machine, with a first machine in it
	@bin/bourse up

down: ## Stop what `make up` started, and nothing else
	@if [ -x bin/bourse ]; then bin/bourse down; else echo "Nothing has been built here, so nothing runs."; fi

test: setup ## Run every test; ONLY=name runs those whose name contains it
	@swift build $(CONFIGURATION) --build-tests
	@$(MAKE) link
	@scripts/test $(ONLY)

bench: setup build ## Measure; ONLY=group measures one group
	@bin/bourse-bench $(ONLY)

sim: build ## Run histories full of faults, SEEDS=200 of them from SEED=1 on
	@bin/bourse simulate --seed $${SEED:-1} --seeds $${SEEDS:-200}

fmt: ## Format the Swift sources in place
	@swift format format --in-place --recursive --parallel $(FORMATTED)

check: build ## Everything that can be said without running the programs: format, tidiness, documents
	@echo "· format"; swift format lint --strict --recursive --parallel $(FORMATTED)
	@echo "· documents"; scripts/check-docs
	@echo "· docs/api"; scripts/check-openapi
	@echo "· tidiness"; swift build $(CONFIGURATION) --build-tests && scripts/test TidyTests

docs: build ## Check the documents' links and make DocC pages of the modules under .build/docs
	@scripts/check-docs
	@scripts/api-pages

openapi: build ## Write docs/api from the endpoints
	@mkdir -p docs/api
	@bin/bourse openapi --output docs/api
