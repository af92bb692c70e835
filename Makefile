# make demo: a real job in containers.  make test: everything.  Both set up what they need.
.PHONY: help setup demo test test-large check bench fuzz fuzz-http fuzz-boinc clean

help:
	@echo 'make demo    set up, build the embedding image, run a real job, show the verified result'
	@echo 'make test    set up, run every test (PostgreSQL, S3 and podman included)'
	@echo 'make check   lint and types'
	@echo 'make bench   the benchmark table'
	@echo 'make fuzz    60 seconds of simulated fleets'
	@echo 'make fuzz-http   every described call, 500 made-up requests each'
	@echo 'make fuzz-boinc  garbled calls of BOINC clients, 20,000 of each kind'
	@echo 'make test-large  an upload of 5 GB'

setup:
	@scripts/packages.sh setup
	@scripts/setup.sh

demo:
	@scripts/packages.sh demo
	@scripts/setup.sh
	@scripts/demo.sh

test:
	@scripts/packages.sh test
	@scripts/setup.sh
	@scripts/openai-clients.sh
	@$(MAKE) --no-print-directory check
	.venv/bin/python -m pytest -n 2 --dist loadfile

check:
	@scripts/setup.sh
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench:
	@scripts/packages.sh test
	@scripts/setup.sh
	.venv/bin/python -m benchmarks

fuzz:
	@scripts/setup.sh
	.venv/bin/fallow sim --for 60

fuzz-http:
	@scripts/packages.sh test
	@scripts/setup.sh
	FALLOW_FUZZ_EXAMPLES=500 .venv/bin/python -m pytest tests/web/test_openapi.py --timeout 7200

fuzz-boinc:
	@scripts/packages.sh test
	@scripts/setup.sh
	FALLOW_FUZZ_EXAMPLES=20000 .venv/bin/python -m pytest tests/protocols/boinc/test_mutations.py tests/boinc/test_fuzz.py --timeout 7200

test-large:
	@scripts/packages.sh test
	@scripts/setup.sh
	FALLOW_LARGE_UPLOAD_BYTES=5368709120 .venv/bin/python -m pytest tests/web/test_large_upload.py --timeout 3600

clean:
	rm -rf .venv .cache demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis
