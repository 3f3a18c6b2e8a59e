# The two commands are `make run` and `make test`; each sets up what it needs on a Debian with Go, Node and git.
# `make help` lists the rest.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MUSIC   ?=
DATA    ?= data
LISTEN  ?= 127.0.0.1:4533
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

export CGO_ENABLED = 0
LDFLAGS := -s -w -X main.version=$(VERSION)
GO_SOURCES := $(shell find . -name '*.go' -not -path './web/node_modules/*' -not -name '*_test.go') go.mod go.sum cmd/tutti/tutti.yml
WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' -not -path 'web/test-results/*' -not -path 'web/e2e/*' -not -name '*.go' 2>/dev/null)

.PHONY: help build run cluster test lint unit race page e2e bench fuzz clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

build: bin/tutti ## bin/tutti: one static binary with the page embedded

run: bin/tutti ## play a demo album, or your own: make run MUSIC=~/Music
	@./need.sh ffmpeg=ffmpeg
	@if [ -n "$(MUSIC)" ]; then music="$(MUSIC)"; else music="demo"; bin/tutti demo demo; fi; \
	exec bin/tutti serve --listen "$(LISTEN)" --data "$(DATA)" --music "$$music"

PORT ?= 4533

cluster: bin/tutti ## a whole fleet on this machine: make cluster MUSIC=~/Music PORT=4533
	@./need.sh $(FLEET_NEEDS)
	@go build -o bin/cluster ./e2e/fleet/cluster
	@exec bin/cluster -bin bin/tutti -music "$(MUSIC)" -port "$(PORT)" -data "$(DATA)/cluster"

test: lint build unit race page e2e ## everything that must hold before a change lands

web/node_modules/.installed: web/package.json web/package-lock.json
	@echo "installing the page's build tools (npm ci)"
	@cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/.installed $(WEB_SOURCES)
	@cd web && npm run --silent build

bin/tutti: web/dist/index.html $(GO_SOURCES)
	go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/tutti

lint: web/dist/index.html
	@unformatted=$$(go tool gofumpt -l .); if [ -n "$$unformatted" ]; then echo "run: go tool gofumpt -w $$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	@cd web && npm run --silent typecheck && npm run --silent lint

FLEET_NEEDS := ffmpeg=ffmpeg nginx=nginx-light java=openjdk-17-jdk-headless javac=openjdk-17-jdk-headless mvn=maven ip=iproute2
TEST_NEEDS := $(FLEET_NEEDS) /usr/lib/nginx/modules/ngx_http_brotli_filter_module.so=libnginx-mod-http-brotli-filter ffprobe=ffmpeg strace=strace unzip=unzip /usr/lib/python3/dist-packages/mutagen=python3-mutagen

# Many tests wait, for a disk, a process or a time: twice as many packages at a time as there are cores. lint has vetted them.
TEST_FLAGS := -vet=off -p $(shell expr 2 \* $$(nproc))

unit: web/dist/index.html ## unit, contract and golden tests, and the fuzz seeds
	@./need.sh $(TEST_NEEDS) node=nodejs
	@cd carbon/reference && [ -d node_modules/@grnsft/if ] || npm ci --no-audit --no-fund --loglevel=error
	@./again.sh bin/unit.log "$$(go list ./... | grep -v '^tutti/e2e')" $(TEST_FLAGS)

# What has no goroutines and no locks has no races.
CONCURRENT = $(shell find [a-z]* -name '*.go' -not -name '*_test.go' -not -path 'web/*' -not -path 'bench/*' -not -path 'e2e/*' | xargs grep -lE '^[[:space:]]*go |errgroup|"sync"|"sync/atomic"' | xargs -n1 dirname | sort -u)

race: web/dist/index.html
	@./need.sh $(TEST_NEEDS) gcc=gcc /usr/include/stdlib.h=libc6-dev
	@CGO_ENABLED=1 ./again.sh bin/race.log "$(CONCURRENT:%=./%)" -race -short $(TEST_FLAGS)

page: bin/tutti ## the page's own tests, in Chromium against the real binary
	@./need.sh ffmpeg=ffmpeg chromium=chromium
	@cd web && npm run --silent test:unit && npm run --silent test:e2e

e2e: bin/tutti ## real clients against the real binary
	@./need.sh $(TEST_NEEDS) mpv=mpv node=nodejs chromium=chromium systemd-analyze=systemd strawberry=strawberry Xvfb=xvfb xdotool=xdotool dbus-run-session=dbus-daemon sqlite3=sqlite3 chronyd=chrony snapclient=snapclient /usr/share/games/wesnoth/1.16/data/core/music=wesnoth-1.16-music
	@cd e2e/clients && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --loglevel=error; }
	@# One package at a time: they measure.
	@TUTTI_BIN=$(CURDIR)/bin/tutti ./again.sh bin/e2e.log ./e2e/... -count=1 -p 1 -timeout 20m

fuzz: ## each fuzz target for FUZZTIME (default 30s)
	@for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$pkg/*_test.go | sed 's/^func //'); do \
			echo "$$pkg $$target"; go test -run=- -fuzz="^$$target\$$" -fuzztime=$${FUZZTIME:-30s} $$pkg; \
		done; \
	done

bench: bin/tutti ## measure against nginx in the same run; writes docs/benchmarks.md
	@./need.sh $(TEST_NEEDS) nats-server=nats-server
	go run ./bench

clean: ## remove what was built, keep the data folder
	rm -rf bin web/dist/* web/node_modules web/test-results
