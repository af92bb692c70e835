# make demo: a real job in containers.  make test: everything.  Both set up what they need.
.PHONY: help setup demo test check bench fuzz clean

help:
	@echo 'make demo    set up, build the embedding image, run a real job, show the verified result'
	@echo 'make test    set up, run every test (PostgreSQL, S3 and podman included)'
	@echo 'make check   lint and types'
	@echo 'make bench   the benchmark table'
	@echo 'make fuzz    60 seconds of simulated fleets'

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

clean:
	rm -rf .venv .cache demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
