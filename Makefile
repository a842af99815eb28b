# The verbs of the repository. They need Go, make and git; what else a verb needs it says below.

SHELL := /bin/sh
.DEFAULT_GOAL := help

GO ?= go
BIN := bin/coffer

# The version comes from git. Where git cannot read the repository (an archive, another owner), build without.
BUILDVCS := -buildvcs=$(shell git status >/dev/null 2>&1 && echo true || echo false)

# Where goroutines meet: tested a second time under the race detector, which needs a C compiler.
RACE := ./chunk/... ./fs ./internal/disk/... ./internal/home ./internal/keystate ./kms/... ./metastore/... ./object/checksum ./s3api/...
RACE_OBJECT := -crash.rounds=3 -rapid.checks=20

FUZZTIME ?= 3s
ROUNDS ?= 100
CHECKS ?= 2000
LARGE ?= 3GiB
ARGS ?=
ifndef SEED
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the static binary bin/coffer
	CGO_ENABLED=0 $(GO) build $(BUILDVCS) -trimpath -ldflags='-s -w' -o $(BIN) ./cmd/coffer

.PHONY: run
run: build ## build, serve on defaults and mount where that is possible; ARGS='--listen :9001' for more
	@exec $(BIN) serve --mount auto $(ARGS)

.PHONY: test
test: check unit race fuzz e2e mount ## all set-up and all tests, as CI runs them
	@echo 'All tests passed.'

.PHONY: check
check: ## formatting and go vet
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go' 2>/dev/null || find . -name '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags e2e ./test/...

.PHONY: unit
unit: ## go test of every package; the first time it builds a Vault server, which takes minutes
	$(GO) test -timeout 30m -run '^TestBinary$$' ./kms/vault/vaulttest
	$(GO) test -timeout 15m ./...
	$(GO) test -timeout 15m -tags sealtrace -run 'Trace|NonceTwice' ./cipher ./object

.PHONY: race
race: ## the concurrent packages under the race detector
	@if [ "$$($(GO) env CGO_ENABLED)" != 1 ] || ! command -v "$$($(GO) env CC)" >/dev/null; then \
		if [ "$(CI)" = true ]; then echo 'race: no C compiler'; exit 1; fi; \
		echo 'race: left out, it needs a C compiler (Debian: gcc libc6-dev)'; \
	else set -x; \
		$(GO) test -race -timeout 15m $(RACE) && $(GO) test -race -timeout 15m ./object -args $(RACE_OBJECT); \
	fi

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	test/fuzz.sh $(FUZZTIME)

.PHONY: e2e
e2e: build ## unmodified clients, and the lines of the documents, against the binary; installs them (Debian: as root or by sudo)
	test/e2e/setup.sh
	$(GO) test -tags e2e -timeout 30m -v ./test/e2e
	$(GO) test -tags e2e -timeout 10m ./test/conformance

.PHONY: mount
mount: build ## real programs on the mount; installs them (Debian: as root or by sudo), needs /dev/fuse
	test/mount/setup.sh
	$(GO) test -tags e2e -timeout 30m -v ./test/mount

.PHONY: torture
torture: build ## the long forms of the tests; SEED=n replays, ROUNDS, CHECKS, FUZZTIME and LARGE set the length
	@echo 'torture: replay with SEED=$(SEED)'
	$(GO) test -count=1 -timeout 6h ./object -args -crash.rounds=$(ROUNDS) -crash.seed=$(SEED) -rapid.checks=$(CHECKS) -rapid.seed=$(SEED)
	$(GO) test -count=1 -timeout 6h -tags sealtrace -v -run NonceTwice ./object -args -nonces.ops=1000000
	$(GO) test -count=1 -timeout 6h ./metastore/... ./s3api/awschunk ./s3api/sigv4 -rapid.checks=$(CHECKS) -rapid.seed=$(SEED)
	$(GO) test -count=1 -timeout 6h -v ./test/limits -args -limits.size=268435456
	$(MAKE) fuzz FUZZTIME=$(if $(filter command line environment,$(origin FUZZTIME)),$(FUZZTIME),60s)
	test/mount/setup.sh
	$(GO) test -tags e2e -count=1 -timeout 6h -v ./test/mount -args -checks=100000
	test/e2e/setup.sh
	$(GO) test -tags e2e -count=1 -timeout 6h -v ./test/e2e -args -tree=$$($(GO) env GOROOT)/src -large=$(LARGE)

.PHONY: bench
bench: build ## Go benchmarks, then the measurements that bench/results keeps (needs fio; as root, with gocryptfs and git, for the mount); NAME=run names the page
	$(GO) test -run '^$$' -bench . -benchmem ./cipher ./metastore/... ./object
	$(GO) run ./bench/record $(if $(NAME),--name $(NAME)) $(ARGS)

.PHONY: lint
lint: ## golangci-lint and govulncheck, at the versions stated here
	$(GO) run $(GOLANGCI_LINT) run
	$(GO) run $(GOVULNCHECK) ./...

.PHONY: clean
clean: ## remove what was built, and the clients that the tests installed here
	rm -rf bin/coffer test/e2e/.tools
