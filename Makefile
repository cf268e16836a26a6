GO ?= go
FUZZTIME ?= 10s
BUF := $(GO) tool -modfile=internal/tools/go.mod buf
LINT := $(GO) tool -modfile=internal/tools/lint/go.mod golangci-lint

.PHONY: all
all: build

.PHONY: build # both programs, into bin/
build:
	$(GO) build -trimpath -o bin/ ./cmd/...

.PHONY: test
test:
	$(GO) test ./...

.PHONY: cases # how many conformance cases each vendor's protocol passes
cases:
	@$(GO) test -v -run 'Conformance' ./vendors/... | awk '/vendortest:/ { $$1 = $$1; print } /^(FAIL|---* FAIL)/ { print; failed = 1 } END { exit failed }'

.PHONY: race
race:
	$(GO) test -race -short ./...

.PHONY: cover # prints the total; the profile stays in cover.out
cover:
	$(GO) test -coverprofile=cover.out -coverpkg=./... ./...
	$(GO) tool cover -func=cover.out | tail -1

.PHONY: bench # micro benchmarks; the engine as a whole: go run ./cmd/rouse bench
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz # every fuzz target for FUZZTIME
fuzz:
	@grep -rno --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file _ decl; do \
		echo "fuzz $${decl#func } in $$(dirname $$file)"; \
		$(GO) test -run '^$$' -fuzz "^$${decl#func }$$" -fuzztime $(FUZZTIME) "./$$(dirname $$file)" || exit 1; \
	done

CASES ?= 1000000

.PHONY: decide-nightly # decisions and texts against their second implementation, CASES random users
decide-nightly:
	$(GO) test -v -timeout 4h -run '^TestAgainstOracle$$' ./actors/user -rapid.checks=$(CASES)
	$(GO) test -v -timeout 4h -run '^TestAgainstOracle$$' ./internal/content -rapid.checks=$$(( $(CASES) / 50 ))

.PHONY: plants # tests must pass without a fault, and find each that is made on purpose
plants:
	$(GO) test -tags plant -count=1 -v -timeout 30m ./internal/plant

SEEDS ?= 5000

.PHONY: sim-nightly # whole clusters in fake time, SEEDS random scripts with faults; SEED is the first
sim-nightly:
	$(GO) test -timeout 6h -run '^TestSeeds$$' ./simulations/bubble -sim.seed=$(or $(SEED),1) -sim.seeds=$(SEEDS) -sim.keep

.PHONY: sim-plants # what the seeds notice of the faults that are made on purpose, as a table
sim-plants:
	$(GO) test -tags plant -v -timeout 2h -run '^TestPlants$$' ./simulations/bubble

.PHONY: fmt
fmt:
	$(LINT) fmt

.PHONY: lint # includes the formatters
lint:
	$(LINT) run

.gen/validate/buf/validate/validate.proto: internal/tools/go.sum
	cd internal/tools && $(GO) run ./validateproto ../../.gen/validate
	@touch $@

.PHONY: gen # Go code from api/**/*.proto
gen: .gen/validate/buf/validate/validate.proto
	$(BUF) lint
	$(BUF) generate

.PHONY: gen-check # the committed code is what gen writes; changes nothing
gen-check: .gen/validate/buf/validate/validate.proto
	rm -rf .gen/out
	$(BUF) lint
	$(BUF) generate --output .gen/out
	diff -r -x '*.proto' api .gen/out/api

.PHONY: mod-check
mod-check:
	$(GO) mod verify
	$(GO) mod tidy -diff

.PHONY: check # what a change must pass
check: lint gen-check mod-check test race
