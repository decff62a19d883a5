# Two commands on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
SEEDS ?= 0,1,2
VENV := .venv/bin

# How long torch's threads spin before they sleep: see benchmarks/threads.py.
export GOMP_SPINCOUNT ?= 20000

.PHONY: setup ready demo test lint faults reasoners clean

setup:
	@$(PYTHON) scripts/setup.py --retry

ready:
	@$(PYTHON) scripts/setup.py

demo: ready
	@$(VENV)/python examples/digits/demo.py --seeds $(SEEDS)

lint: ready
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy

test: lint
	$(VENV)/python -m pytest

# Each fault at twenty random moments, instead of the few of `make test`; lost workers under each engine; and 10,000
# inputs of all sorts, instead of 200.
faults: ready
	CORTIGRAPH_FAULTS=20 $(VENV)/python -m pytest --timeout=3000 tests/ingest/test_faults.py tests/train/test_group.py
	CORTIGRAPH_FUZZ=10000 $(VENV)/python -m pytest --timeout=20000 tests/fuzz

# The best small reasoners, trained anew, as files that `cortigraph reason` reads; some minutes each.
reasoners: ready
	for data in umls kinship fb237_v1; do $(VENV)/python benchmarks/kg_quality.py --data $$data --seeds 0 --out out/reasoners; done
	$(VENV)/python benchmarks/kg_foundation.py --out out/reasoners/foundation-0.safetensors

clean:
	rm -rf .venv out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
