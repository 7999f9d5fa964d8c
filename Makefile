# Everything a person or a machine does with this repository. Needs Python 3.11 or newer, nothing else.

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-annotate --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps --no-compile
TEST_DATA := $(CURDIR)/.data/tests
# every worker has databases and ports of its own
PARALLEL := -n $${WORKERS:-2} --dist worksteal
# what depends most on the server's version; CI also runs it against one of the distribution
SERVER_TESTS := $(wildcard tests/trial/test_audit*.py) tests/trial/test_roles_db.py tests/trial/test_replay.py tests/trial/test_checks.py \
	tests/faults/test_broker.py

# what one process has compiled the next need not compile, and it lies with the environment, not all over the tree
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode

.PHONY: help run test exhaust check format bench install lock messages clean
.DEFAULT_GOAL := help

help: ## Say what can be done
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

run: .venv/.runtime ## Start Cordline on this machine, with a synthetic study
	@$(BIN)/python manage.py run

test: .venv/.dev ## Everything that must pass, journeys in a browser included
	@[ -z "$$CORDLINE_TEST_SERVER" ] || { set -x; DATABASE_URL="$$CORDLINE_TEST_SERVER" $(BIN)/python -m pytest -q $(PARALLEL) $(SERVER_TESTS); }
	CORDLINE_DATA="$(TEST_DATA)" $(BIN)/python -m pytest $(PARALLEL) -m "not benchmark and not exhaustive" \
		$${CORDLINE_TEST_SERVER:+--ignore tests/faults/test_broker.py} $(ARGS)

exhaust: .venv/.dev ## The wide forms of the tests: all hostile texts, every page in dark, longer walks; CI runs them too
	CORDLINE_DATA="$(TEST_DATA)" $(BIN)/python -m pytest $(PARALLEL) -m "exhaustive and not benchmark" $(ARGS)

check: .venv/.dev ## Format, lint, types, imports, migrations, settings
	$(BIN)/ruff format --check --output-format concise .
	$(BIN)/ruff check .
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python manage.py makemigrations --check --dry-run
	! grep -nE '[a-z]+://|^ *-(i|f) |^--' requirements.txt requirements-dev.txt
	CORDLINE_PRODUCTION=1 SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
		ALLOWED_HOSTS=study.example DATABASE_URL=postgres://app@localhost/c DATABASE_OWNER_URL=postgres://owner@localhost/c \
		REDIS_URL=redis://localhost:6379/0 $(BIN)/python manage.py check --deploy --fail-level WARNING

format: .venv/.dev ## Format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: .venv/.dev ## Measure, and print the table of numbers
	CORDLINE_DATA="$(TEST_DATA)" $(BIN)/python -m pytest tests/benchmarks -p no:xdist -q -s $(ARGS)

install: .venv/.runtime ## Only the environment that the application needs

lock: .venv/.dev ## Pin the newest allowed versions, with hashes
	$(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
		print(*p["project"]["dependencies"], sep="\n")' \
		| $(LOCK) --upgrade --output-file requirements.txt -
	$(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
		print(*p["project"]["dependencies"], *p["dependency-groups"]["dev"], sep="\n")' \
		| $(LOCK) --upgrade --constraint requirements.txt --output-file requirements-dev.txt -

messages: .venv/.dev ## Collect the marked sentences and compile the translations (needs gettext)
	$(BIN)/python manage.py makemessages --locale zh_Hans --no-obsolete --add-location file --ignore .venv --ignore tests
	$(BIN)/python manage.py compilemessages --ignore .venv

clean: ## Remove the environment, the local database and what tests left
	-[ ! -x $(BIN)/python ] || for data in .data .data/tests; do \
		[ ! -e $$data ] || $(BIN)/python -c "import pathlib; from trial import embedded; embedded.erase(pathlib.Path('$$data').absolute())"; done
	rm -rf .venv .data staticfiles test-results .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache htmlcov .coverage

.venv/.python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer with venv is needed (Debian: apt install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@# the pip that comes with Python takes twice as long to choose among many wheels
	@sed -n '/^pip==/,/[^\\]$$/p' requirements-dev.txt > .venv/pip.txt
	$(PIP) -r .venv/pip.txt
	@touch $@

.venv/.runtime: requirements.txt .venv/.python
	$(PIP) -r requirements.txt
	@touch $@

# holds what the application needs, too
.venv/.dev: requirements-dev.txt requirements.txt .venv/.python
	$(PIP) -r requirements-dev.txt
	@touch .venv/.runtime $@
