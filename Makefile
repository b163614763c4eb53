# One profile and one target directory for everything: llama.cpp is compiled once.
CARGO ?= cargo
BIN   := target/debug/shipworthy

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt lint doc bench cuda fuzz interop golden schema system

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: system ## Build, then run the whole loop on the shipped example, offline
	$(CARGO) build --locked --package shipworthy-harness
	$(BIN) demo --exit-zero

test: system ## Run all tests: units, golden data, the command line end to end, pages in a browser
	scripts/browser
	$(CARGO) test --locked --workspace

check: system fmt lint doc ## Check format, lints and documentation

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

bench: system ## Measure beside named peers: SciPy, PEFT, bitsandbytes, llama.cpp's converter and llama-quantize; and the engine
	scripts/bench

cuda: ## Build for CUDA cards (not yet run on one); fetches the compiler, 190 MB
	scripts/cuda

fuzz: system ## Give the readers of model files hostile ones, a minute for each target
	scripts/fuzz all 60

interop: system ## Test against the real programs of others: llama-server, vLLM, PEFT, transformers, llama.cpp's tools
	scripts/interop

golden: system ## Make the golden data and the generated tables again
	scripts/golden

schema: system ## Write the configurations' JSON schemas
	$(CARGO) run --locked --quiet --package shipworthy-harness -- init --schema > docs/shipworthy.schema.json
	$(CARGO) run --locked --quiet --package shipworthy-harness -- init --schema=finetune > docs/finetune.schema.json

system:
	@scripts/system-packages
