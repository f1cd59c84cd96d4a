# The front door for people: every target is one or two commands, `make help` lists them.
PYTHON ?= python3.11
VENV := .venv
VENV35 := .venv35
BIN := $(VENV)/bin
DEMO ?= demo
PYTEST := $(BIN)/python -m pytest -q
# Two Spark sessions side by side; the tests of a file share one, and what they made in it.
BY_FILE := -n 2 --dist loadfile -p no:randomly
QUICK := -m "not slow and not long"

.DEFAULT_GOAL := help
.PHONY: help setup setup35 java demo test test-fast test-slow test-long test-cluster test-spark35 lint types arch cov wheel bench-quality bench-quality-full emr-local bench bench-batch bench-four-ways bench-serving differential check constraints clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "} {printf "  %-14s %s\n", $$1, $$2}'

java:
	@command -v java >/dev/null || { echo "Java is missing: install a JDK or JRE 17 (Debian: apt install openjdk-17-jre-headless) and run make again." >&2; exit 1; }
	@java -version 2>&1 | grep -qE 'version "(17|21)' || { echo "Java 17 is needed, found: $$(java -version 2>&1 | head -1). Set JAVA_HOME and PATH to a Java 17." >&2; exit 1; }

$(VENV)/.ready: bootstrap/constraints-spark41.txt bootstrap/setup_env.sh pyproject.toml
	bash bootstrap/setup_env.sh "$(PYTHON)" $(VENV) bootstrap/constraints-spark41.txt

$(VENV35)/.ready: bootstrap/constraints-spark35.txt bootstrap/setup_env.sh pyproject.toml
	bash bootstrap/setup_env.sh "$(PYTHON)" $(VENV35) bootstrap/constraints-spark35.txt

setup: java $(VENV)/.ready ## make the virtual environment (Spark 4.1.1)
setup35: java $(VENV35)/.ready ## make a second one (Spark 3.5.8)

demo: setup ## run the whole flow on 336,776 real flights
	test -f $(DEMO)/crisp.yml || $(BIN)/crisp example flights $(DEMO)
	$(BIN)/crisp run --project $(DEMO)/crisp.yml

test: setup ## the tests on Spark 4.1.1
	$(PYTEST) -n 2 -p no:randomly tests/unit tests/architecture tests/aws tests/serving
	$(PYTEST) $(BY_FILE) $(QUICK) tests/spark tests/e2e tests/browser tests/cluster/test_spark_submit.py

test-fast: setup ## the tests that need no Spark
	$(PYTEST) -n 2 tests/unit tests/architecture

.PHONY: test-random
test-random: setup ## those again in another order, with random examples: what no fixed run finds
	CRISP_HYPOTHESIS=searching $(PYTEST) -n 2 tests/unit tests/aws tests/serving

test-slow: setup ## every family, every kind of problem, layouts, kills: what `make test` leaves out
	$(PYTEST) $(BY_FILE) -m "slow and not long" tests/spark tests/e2e tests/cluster/test_spark_submit.py

test-long: setup ## whole sweeps side by side with MLlib's, and one killed ten times
	$(PYTEST) -p no:randomly -m long tests/spark tests/e2e

test-cluster: setup ## YARN, S3A, spot loss, loop-back EMR, the real package (needs Maven)
	$(PYTEST) -p no:randomly tests/cluster

test-spark35: setup35 ## Spark tests and the whole project on Spark 3.5.8
	$(VENV35)/bin/python -m pytest -q $(BY_FILE) $(QUICK) tests/spark tests/e2e

lint: setup ## format, lint, dependencies, dead code, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/deptry .
	$(BIN)/vulture
	$(BIN)/lint-imports

types: setup ## mypy --strict
	$(BIN)/mypy

arch: setup ## layers and the shape of the code
	$(BIN)/lint-imports
	$(PYTEST) tests/architecture

cov: setup ## the tests of `make test` with branch coverage: at least 90 %
	$(BIN)/coverage erase
	$(PYTEST) -n 2 --cov --cov-report= tests/unit tests/aws tests/serving
	$(PYTEST) $(BY_FILE) $(QUICK) --cov --cov-append --cov-report= tests/spark tests/e2e
	$(BIN)/coverage report --fail-under=90

wheel: setup ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

bench-quality: setup ## quality rules against Great Expectations, an expert, a scan (15 minutes)
	$(BIN)/python benchmarks/quality.py

bench-quality-full: setup ## the same with 5 million rows
	$(BIN)/python benchmarks/quality.py --full

.PHONY: bench-growth
bench-growth: setup ## how quality rules and sweeps grow with rows, rules, configurations (picture)
	$(BIN)/python benchmarks/growth.py

.PHONY: bench-quality-peers
bench-quality-peers: setup ## quality rules against cuallee, pandera, PyDeequ, soda-core (10 minutes, once they are installed)
	$(BIN)/python benchmarks/quality_peers.py

emr-local: setup ## an EMR on this machine whose steps are really run (see docs/emr.md)
	$(BIN)/python -m emr.loopback

.PHONY: bench-profile
bench-profile: setup ## a profile against summary() and hand-written queries (YDATA=python that has ydata-profiling)
	$(BIN)/python benchmarks/profiles.py $(if $(YDATA),--ydata $(YDATA))

bench: setup ## measured comparisons (see benchmarks/)
	$(BIN)/python benchmarks/flow.py

bench-four-ways: setup ## one model asked by Spark, bundle, HTTP and Lambda's runtime, on the demo's test split
	$(BIN)/python benchmarks/four_ways.py $(DEMO)/crisp.yml

bench-batch: setup ## batch scoring of 10 million rows in a heap of 1 GiB, on the demo's model
	$(BIN)/python benchmarks/batch.py $(DEMO)/crisp.yml

bench-serving: setup ## scoring without Spark against MLflow with Spark, on the demo's model
	$(BIN)/python benchmarks/serving.py $(DEMO)/crisp.yml

differential: setup ## random SQL (50 batches) and whole random pipelines (50) against Spark
	CRISP_DIFFERENTIAL=$${CRISP_DIFFERENTIAL:-50} $(PYTEST) -p no:randomly tests/spark/test_portable_sql.py tests/spark/test_portable_pipelines.py

.PHONY: bench-sweep bench-sweep-full
bench-sweep: setup ## sweeps against CrossValidator, within 15 minutes
	$(BIN)/python benchmarks/sweep.py

bench-sweep-full: setup ## the same on 100,000 rows, 144 boosted models (hours)
	$(BIN)/python benchmarks/sweep.py --full --rows 100000 --repeats 3

check: lint types test test-slow test-spark35 wheel ## everything that CI runs

constraints: ## resolve and pin the dependencies anew
	bash bootstrap/pin.sh

clean: ## remove what the targets made
	rm -rf $(VENV) $(VENV35) .venv-bench-* $(DEMO) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.* htmlcov spark-warehouse
