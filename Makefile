# bioengine-hpc. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
STATIC  := -linkmode external -extldflags "-static"
TAGS    := netgo,osusergo,timetzdata
ARCHES  := amd64 arm64

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ build
build: ## both programs for this machine, static, into bin/
	CGO_ENABLED=1 go build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS) $(STATIC)' -o bin/bioengine-hpc ./cmd/bioengine-hpc
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/bioengine-agent ./cmd/bioengine-agent

race: ## both programs with the race detector, into bin/race/, for the tests
	CGO_ENABLED=1 go build -race -tags $(TAGS) -ldflags '-X main.version=$(VERSION)' -o bin/race/bioengine-hpc ./cmd/bioengine-hpc
	CGO_ENABLED=1 go build -race -tags $(TAGS) -ldflags '-X main.version=$(VERSION)' -o bin/race/bioengine-agent ./cmd/bioengine-agent

dist: ## both programs for amd64 and arm64 with checksums, into dist/
	./scripts/dist.sh '$(VERSION)' '$(TAGS)' '$(LDFLAGS) $(STATIC)' '$(LDFLAGS)' $(ARCHES)

##@ try
demo: build ## one application on this machine: real Hypha, local back end
	go run ./test/demo local

demo-slurm: build ## the same on a real Slurm + Apptainer cluster in namespaces (root)
	go run ./test/demo slurm

##@ check
lint: ## go vet, staticcheck, gofmt
	@test -z "$$(gofmt -l $$(git ls-files '*.go') | tee /dev/stderr)"
	go vet -tags systems ./...
	go tool staticcheck -tags systems ./...

test: ## everything, on the real systems, with the race detector (root on Debian)
	./scripts/test.sh systems

test-unit: ## what needs neither root nor a cluster: Go, gcc and Python only
	./scripts/test.sh unit

test-full: ## `test` and what takes longer
	./scripts/test.sh full

bench: build ## the figures of docs/benchmarks.md
	./scripts/bench.sh

docs: ## write the help texts into docs/cli.md
	go test ./cmd/bioengine-hpc -run TestCommandPage -update

clean: ## remove what was built in the checkout
	rm -rf bin dist

.PHONY: help build race dist demo demo-slurm lint test test-unit test-full bench docs clean
