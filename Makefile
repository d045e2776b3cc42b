# make help lists the targets.

.PHONY: run build binary app docs test test-deploy test-faults lint lint-go lint-app lint-more generate bench bench-app fuzz audit release clean help

# The binary is pure Go; only the race detector (make test) needs a C compiler. Linters, tools and checks are compiled like
# the binary, so that everything is compiled only once more for the race detector.
export CGO_ENABLED = 0
export GOFLAGS := -trimpath $(GOFLAGS)

build: app binary ## bin/tandem: one static binary, with the app embedded

# Builds the binary alone, without rebuilding the app. GOOS and GOARCH choose the target.
BINARY = bin/tandem
binary:
	go build -ldflags "-s -w" -o $(BINARY) .

app: frontend/node_modules ## the chat app that go build embeds
	cd frontend && npm run --silent app

docs: frontend/node_modules ## the guide, embedded by the next make build and served at /guide, and the SDK reference
	cd frontend && npm run --silent site -w guide && npm run --silent docs -w client

run: build ## build, then serve on :8080 with ./data
	bin/tandem

# Do not race-instrument SQLite (translated from C, with its library), the arithmetic of passwords and keys, Unicode's
# tables, and the decoders of pictures and packed data: that would double the time of the tests, and a race in them is not
# ours to fix. Packages that use atomics, like encoding/json, must be instrumented: the detector would not see how they
# synchronize.
NO_RACE = modernc.org/sqlite/lib modernc.org/libc modernc.org/memory golang.org/x/crypto/argon2 golang.org/x/image/... image/... \
	compress/... unicode/... golang.org/x/text/... crypto/internal/fips140/edwards25519/... crypto/internal/fips140/mlkem \
	crypto/internal/fips140/bigmod crypto/internal/fips140/nistec/...
RACE = -race $(foreach package,$(NO_RACE),-gcflags=$(package)=-race=false)

# gotestsum prints one line per package and saves the test events, from which the slowest tests are listed.
TEST_EVENTS = bin/test-events.json
GO_TEST = CGO_ENABLED=1 GOFLAGS= $$(go tool -modfile=tools/go.mod -n gotestsum) --format pkgname --format-hide-empty-pkg --jsonfile

# lint-go runs go vet, and nobody debugs these binaries. At least three packages are tested at once, since their tests
# often wait, and the longest start first.
GO_TEST_FLAGS = -vet=off -ldflags=-w $(RACE) -timeout 40m -p $$(n=$$(nproc); echo $$((n > 3 ? n : 3)))
LONGEST = ./e2e/streams ./e2e/cluster ./e2e/security ./e2e/rooms ./e2e/hooks ./e2e/accounts ./store

# On Linux an epoll poller serves streams over plain TCP; other systems use a goroutine per stream. test-plain runs these
# tests the other way.
STREAM_TESTS = Stream|Socket|Frame|Slow|Stalled|Vanish|Conformance|SameBytes|Resume|Narrow|Merged|Private|Typing|Presence

# With TANDEM_REQUIRE=all a test fails, rather than being skipped, if a program it needs is missing. Two parts at a time run
# side by side because they often wait; the output of each is printed when it has ended.
test test-go test-plain test-app: export TMPDIR = $(shell scripts/tmpdir)
test test-go test-plain test-app: export TANDEM_REQUIRE = all
test test-go test-plain test-app: export TANDEM_BIN = $(CURDIR)/bin/tandem
test: ## everything: linters, Go tests with the race detector, the app in a browser
	scripts/setup
	$(MAKE) -j2 --output-sync=target test-ready race-ready
	$(MAKE) -j2 --output-sync=target test-go test-plain test-app lint-go
	@echo "The ten slowest Go tests:"
	@go tool -modfile=tools/go.mod gotestsum tool slowest --jsonfile $(TEST_EVENTS) --threshold 1s --num 10

# What several parts of the tests need is built before they start.
.PHONY: test-ready race-ready test-go test-plain test-app
test-ready: lint-app frontend/fixtures/node_modules
	$(MAKE) docs build

race-ready:
	CGO_ENABLED=1 GOFLAGS= go build $(RACE) ./program ./e2e/harness

test-go:
	$(GO_TEST) $(TEST_EVENTS) -- $(GO_TEST_FLAGS) $(LONGEST) ./...

test-plain:
	TANDEM_TEST_STREAMS=plain $(GO_TEST) $(TEST_EVENTS).plain -- $(GO_TEST_FLAGS) -run '$(STREAM_TESTS)' $(filter ./e2e/%,$(LONGEST)) ./e2e/...

test-app:
	cd frontend && npm run --silent examples && npm run --silent test:built
	$(MAKE) test-deploy

check: ## quick check before a commit: format, vet, unit tests, and the changed areas of e2e/
	scripts/check

# A separate module, to keep libraries for Kubernetes, Compose and Dockerfiles out of the product's go.mod.
test-deploy: ## check the deployment files: Kubernetes, Compose, systemd and the image
	TANDEM_REQUIRE=all go -C tools/deploy test -count=1 ./...

# PREVIOUS=path is the previous version's binary, to test that both can run side by side.
test-faults: ## fault injection tests, for as long as docs/reliability.md says; prints its figures
	scripts/setup
	TANDEM_REQUIRE=all TANDEM_FAULTS=long TANDEM_PREVIOUS=$(PREVIOUS) go test -count=1 -v -timeout 30m \
		-run 'Fault|Failover|SQLiteDisk|SQLiteLocked|FileDescriptors|Neighbouring' ./e2e/cluster
	TANDEM_REQUIRE=all go test -count=1 -v ./valkey

lint: lint-go lint-app ## format, vet, staticcheck, openapi.yaml, eslint, types; checks that generated code is up to date

lint-go:
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not gofmt'ed:" $$files; exit 1; fi
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
	scripts/check-generated

lint-app: frontend/node_modules
	cd frontend && npm run --silent lint

# Not part of lint and test: building it takes 220 s of CPU once, and a run 70 s.
lint-more: ## further linters, chosen in .golangci.yml
	go tool -modfile=tools/golangci.mod golangci-lint run ./...

# Reinstalls when the lock file has changed since the last install.
frontend/node_modules: frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund
	touch $@

# Jest, Metro, Next and Nuxt, to test the SDK's package with. npm ci fails here: it wants an optional Windows-only
# dependency of theirs in the lock file.
frontend/fixtures/node_modules: frontend/fixtures/package-lock.json
	cd frontend/fixtures && npm install --no-save --no-audit --no-fund
	touch $@

generate: frontend/node_modules ## regenerate the types, routes and validation of api/ and the SDK's types from openapi.yaml
	cd api && go tool -modfile=../tools/go.mod oapi-codegen -config oapi-codegen.yaml ../openapi.yaml
	cd api && go run ./requestspec ../openapi.yaml > requests.gen.json
	cd frontend && npm run --silent generate

bench: ## run the benchmarks; ARGS=-short for a quick look
	go run ./bench $(ARGS)

bench-app: build ## measure frame times while the app scrolls through 10,000 messages
	cd frontend && TANDEM_BIN=$(CURDIR)/bin/tandem npm run --silent frames

fuzz: ## run each fuzz target for FUZZTIME (1m); failing inputs are kept in testdata/fuzz
	scripts/fuzz

# AUDIT_REQUIRE=1 fails if a vulnerability database cannot be reached.
audit: frontend/node_modules ## check dependencies for known vulnerabilities and unpinned versions
	scripts/audit

release: docs app ## build dist/: binaries for each system, checksums, SBOMs; TARGETS="linux/amd64" for some only
	scripts/release

clean: ## remove build output, never data
	rm -rf bin dist frontend/node_modules frontend/fixtures/node_modules frontend/client/dist frontend/client/reference frontend/guide/dist frontend/examples/*/dist
	git clean -fdxq frontend/app/dist

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14
