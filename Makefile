# Shelver. Every target makes .venv by itself; PYTHON chooses the interpreter it is made with.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: help demo up down console test test-faults soak fuzz lint audit bench bench-trainer bench-recipes bench-configs bench-producer bench-analysts bench-scaling format
help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/local ## train, list, predict and tell, on one machine; DUMP= CATEGORIES= LISTINGS= LABELS= SUMMARY=
	@$(BIN)/python -m deploy.local demo $(if $(DUMP),--dump "$(DUMP)") $(if $(CATEGORIES),--categories "$(CATEGORIES)") \
	  $(if $(LISTINGS),--listings "$(LISTINGS)") $(if $(LABELS),--labels "$(LABELS)") $(if $(SUMMARY),--summary "$(SUMMARY)")

up: .venv/local ## start the whole line and leave it running
	@$(BIN)/python -m deploy.local up

down: .venv/local ## stop what up started
	@$(BIN)/python -m deploy.local down

console: .venv/local ## the analysts' page on the line that SHELVER_ variables lead to; PORT=
	@$(BIN)/python -m deploy.console $(if $(PORT),--port "$(PORT)")

test: lint ## everything that must hold
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-faults: .venv/dev ## every fault on real processes, a quarter of an hour; its table goes to docs/reliability.md
	REPORT=1 $(BIN)/python -m pytest tests/faults -m "not soak" --durations 0

soak: .venv/dev ## half an hour of load and random faults, reported in docs/reliability.md; SOAK_SECONDS= SOAK_SEED=
	REPORT=1 $(BIN)/python -m pytest tests/faults/test_soak.py -m soak -s

fuzz: .venv/dev ## damaged pictures and dumps to whatever reads them; SECONDS= SEED=; findings go to .local/fuzz
	@$(BIN)/python -m tests.fuzz.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

lint: .venv/dev ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: .venv/dev ## known vulnerabilities of what constraints.txt pins; LENIENT=1 where PyPI's advisories are out of reach
	@$(BIN)/python -m tests.audit $(if $(LENIENT),--lenient)

bench: .venv/dev ## the whole line against the model alone, half an hour; writes docs/performance*; SMALL=1 tries it, PART= repeats one
	$(BIN)/python -m tests.benchmarks.bench_performance $(if $(SMALL),--small) $(PART:%=--part %)

bench-trainer: .venv/dev ## how fast and how small the trainer is; writes docs/trainer-bench.json
	$(BIN)/python -m tests.benchmarks.bench_trainer

bench-recipes: .venv/dev ## three recipes on a small real set; DUMP= CATEGORIES= LISTINGS= LABELS=; writes docs/recipes.json
	$(BIN)/python -m tests.benchmarks.bench_recipes --dump "$(DUMP)" --categories "$(CATEGORIES)" \
	  --listings "$(LISTINGS)" --labels "$(LABELS)"

bench-configs: .venv/dev ## pictures/s that each config trains on this machine; writes docs/configs.json
	$(BIN)/python -m tests.benchmarks.bench_configs

bench-producer: .venv/dev ## enqueueing, the watcher's lag, a backfill of 1,000,000 ids; writes docs/producer*; SMALL=1 tries it
	$(BIN)/python -m tests.benchmarks.bench_producer $(if $(SMALL),--small)

bench-analysts: .venv/dev ## each question of docs/analysts.md on 1,000,000 predictions; its answers go there; SMALL=1 tries it
	$(BIN)/python -m tests.benchmarks.bench_analysts $(if $(SMALL),--small)

bench-scaling: .venv/dev ## workers and GPUs for a day of listings, simulated, and checked on a real line; writes docs/scaling*; SMALL=1 tries it
	$(BIN)/python -m tests.benchmarks.bench_scaling $(if $(SMALL),--small)

format: .venv/dev ## put the sources into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# PIP_CONSTRAINT reaches the build's own environment too, which --constraint does not.
.venv/local .venv/dev: .venv/%: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "error: Python 3.11 with venv is needed: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing shelver[$*] into .venv"
	@PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@
