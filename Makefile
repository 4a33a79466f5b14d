# Every task of the project. Bare `make` lists them; continuous integration calls these and nothing else.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Extra flags for every cargo call, such as --locked or --offline.
CARGO_FLAGS ?=
# Seconds each fuzz target runs, and how many run at once.
TIME ?= 60
JOBS ?= 1
# What make bench, make soak and make microbench pass on.
BENCH ?=
SOAK ?=
MICROBENCH ?= --bench '*'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build-deps pages ## build everything and serve a demo stream on loopback
	cargo run --release $(CARGO_FLAGS) --bin flumen -- serve --demo

.PHONY: build
build: build-deps pages ## build the release binary, target/release/flumen
	cargo build --release $(CARGO_FLAGS) --bin flumen

.PHONY: pages
pages: ## build the dashboard and the player, which the binary embeds
	@scripts/pages

.PHONY: check
check: build-deps ## quick: type check, layer rules, documents, deploy files, no tests
	scripts/check-layers
	scripts/check-docs
	scripts/check-deploy
	cargo check --workspace --all-targets $(CARGO_FLAGS)

.PHONY: lint
lint: build-deps ## formatting, clippy, docs, layer rules, scripts, fuzz targets
	cargo fmt --all --check
	scripts/check-layers --self-test
	scripts/check-layers
	scripts/check-docs --self-test
	scripts/check-docs
	scripts/check-shell
	scripts/check-deploy
	scripts/bench --self-test
	scripts/fuzz-targets --check
	cargo clippy --workspace --all-targets $(CARGO_FLAGS) -- -D warnings
	cargo clippy --package flumen --test interop $(CARGO_FLAGS) -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps $(CARGO_FLAGS)

.PHONY: test
test: build-deps test-deps pages ## install what tests need, then run every test, real clients included
	CARGO_FLAGS='$(CARGO_FLAGS)' scripts/run-tests pages workspace interop

.PHONY: interop
interop: build-deps test-deps pages ## only the tests against real clients (FFmpeg, GStreamer, OBS, VLC, ...)
	CARGO_FLAGS='$(CARGO_FLAGS)' scripts/run-tests interop

.PHONY: fuzz
fuzz: ## fuzz every parser for TIME seconds each, JOBS at once
	scripts/fuzz --time $(TIME) --jobs $(JOBS)

.PHONY: bench
bench: build-deps pages test-deps ## compare with nginx-rtmp and the floor, in turns (BENCH='--players 200 --rounds 5')
	cargo build --profile dist $(CARGO_FLAGS) --bin flumen
	scripts/bench $(BENCH)

.PHONY: soak
soak: build ## wear the server out with clients that come and go, then look what is left (SOAK='--minutes 20 --cycles 10000')
	scripts/soak $(SOAK)

.PHONY: microbench
microbench: build-deps ## time the parsers, the chunk layer and the log by themselves (MICROBENCH='--bench chunks -- decode')
	cargo bench --workspace $(CARGO_FLAGS) $(MICROBENCH)

.PHONY: audit
audit: ## check licences, sources and banned crates of the dependency tree
	scripts/audit

.PHONY: dist
dist: build-deps ## package the optimised binary, documents and licences under target/package
	CARGO_FLAGS='$(CARGO_FLAGS)' scripts/dist

.PHONY: build-deps
build-deps: ## install what the build needs (says what)
	@scripts/install-build-deps

.PHONY: test-deps
test-deps: ## install the programs the tests drive (says what)
	@scripts/install-test-deps

.PHONY: clean
clean: ## remove everything that was built
	cargo clean
