# Everything a user needs is here: no other set-up step exists.
PYTHON ?= python3
ENV ?= dev
SERVICES ?= 100
VENV := .venv
EMULATOR := .venv-emulator
SECURITY := .venv-security
EXAMPLES := .venv-examples
BIN := $(VENV)/bin

.PHONY: help install generate new-service check security rehearse test test-full lint types tests scale faults bench lock clean

help:  ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# A stamp file depends on the lock: only a changed lock is installed again.
$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

# MiniStack pins botocore to one version, so it cannot share an environment with the deployer's boto3.
$(EMULATOR)/.installed: hosting/rehearsal/requirements.txt
	$(PYTHON) -m venv $(EMULATOR)
	$(EMULATOR)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r hosting/rehearsal/requirements.txt
	touch $@

# checkov pins boto3 to one version, so it cannot share an environment with the deployer's either.
$(SECURITY)/.installed: hosting/analysis/requirements.txt
	$(PYTHON) -m venv $(SECURITY)
	$(SECURITY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r hosting/analysis/requirements.txt
	touch $@

# The packages of the Django example: the tests run it behind the simulated edge.
$(EXAMPLES)/.installed: examples/django/app/requirements.txt
	$(PYTHON) -m venv $(EXAMPLES)
	$(EXAMPLES)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r examples/django/app/requirements.txt
	touch $@

install: $(VENV)/.installed $(EMULATOR)/.installed  ## make .venv and .venv-emulator from the locks

security: $(VENV)/.installed $(SECURITY)/.installed  ## scan templates and policies with checkov, parliament and the project's rules
	$(BIN)/python deploy.py security

generate: $(VENV)/.installed  ## write templates/ and the generated files of docs/
	$(BIN)/python deploy.py generate

new-service: $(VENV)/.installed  ## add a service: make new-service NAME=Search
	@test -n "$(NAME)" || { echo "give it a name in CamelCase: make new-service NAME=Search" >&2; exit 64; }
	$(BIN)/python deploy.py new-service $(NAME)

rehearse: install  ## deploy a whole environment (ENV=dev) to the embedded emulator
	$(BIN)/python deploy.py generate
	$(BIN)/python deploy.py rehearse -e $(ENV)

# It holds for every valid configuration, so it is what users run before a commit and in their CI.
check: $(VENV)/.installed  ## check this project: generated files, parameters, lint and rules, reachability, types
	$(BIN)/python deploy.py generate --check
	$(BIN)/python deploy.py params check
	$(BIN)/python deploy.py validate
	$(BIN)/python deploy.py reach
	$(BIN)/mypy workloads.py

test: install $(SECURITY)/.installed $(EXAMPLES)/.installed  ## lint, types, and every test but those that are marked slow
	$(MAKE) --no-print-directory -j 3 lint types tests SELECTED='-m "not slow"'

test-full: install $(SECURITY)/.installed $(EXAMPLES)/.installed  ## lint, types, and every test
	$(MAKE) --no-print-directory -j 3 lint types tests

# The parts of `test` run at the same time, so an error of lint or types can be above the summary of the tests.
lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy
	@# Each function has an index.py of its own, so each is a project of its own to the type checker.
	@python=$$($(BIN)/python -c "from generator.resources.lambda_functions import RUNTIME; print(RUNTIME[6:])"); \
	for function in lambda/*/; do \
	  echo "mypy $$function"; \
	  (cd $$function && MYPYPATH=$(CURDIR)/hosting/model/lambda_shared $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml \
	    --cache-dir $(CURDIR)/.mypy_cache/$$function --python-version $$python .) || exit 1; \
	done

# Tests have no network, so what they need of it comes first.
tests:
	$(BIN)/python -m tests.lambdas.runtime
	$(BIN)/python -m pytest -n auto --dist worksteal $(SELECTED)

# A rehearsal of a hundred services prints a megabyte. The log is kept, and its end is printed if the rehearsal fails.
scale: install  ## generate, validate and rehearse a platform of SERVICES=100
	$(BIN)/python -m tests.support.scale $(SERVICES) build/scale
	$(BIN)/python deploy.py generate --root build/scale
	$(BIN)/python deploy.py validate -e $(ENV) --root build/scale
	@$(BIN)/python deploy.py rehearse -e $(ENV) --root build/scale > build/scale/rehearsal.log 2>&1 \
	  || { tail -n 100 build/scale/rehearsal.log; exit 1; }
	@grep 'checks hold' build/scale/rehearsal.log

faults: install  ## break every AWS call of a deployment in every way, and kill it at every step
	$(BIN)/python -m tests.faults

bench: install  ## budgets, as ratios measured in one run
	$(BIN)/python -m tests.bench

lock: $(VENV)/.installed  ## refresh the locks after a change of pyproject.toml or a *.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --extra dev pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes hosting/rehearsal/requirements.in -o hosting/rehearsal/requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes hosting/analysis/requirements.in -o hosting/analysis/requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes examples/django/app/requirements.in -o examples/django/app/requirements.txt

clean:  ## delete the virtual environments, build/, runs/ and caches
	rm -rf $(VENV) $(EMULATOR) $(SECURITY) $(EXAMPLES) build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
