# make help lists the targets.

.PHONY: run build app test test-faults lint generate bench fuzz audit release clean help

# Every program of ours is pure Go; only the race detector (make test) needs a C compiler.
build: app ## bin/tandem, one static binary with the app in it
	CGO_ENABLED=0 go build -trimpath -o bin/tandem .

app: frontend/node_modules ## the chat app, which go build embeds
	cd frontend && npm run --silent app

run: build ## build, and serve on :8080 with ./data
	bin/tandem

# SQLite's C, translated, has no races that we could mend; to watch each of its reads takes half of the tests' time.
SQLITE_AS_IT_IS = -gcflags=modernc.org/sqlite/lib=-race=false

# On Linux a poller serves streams over plain TCP. What tests say of streams holds without it too, as on other systems.
OF_STREAMS = Stream|Socket|Frame|Slow|Stalled|Vanish|Conformance|SameBytes|Resume|Narrow|Merged|Private|Typing|Presence

# TANDEM_REQUIRE=all: a test that misses something it needs fails here instead of being skipped.
test: ## everything: linters, Go tests with the race detector, the app in a browser
	scripts/setup
	$(MAKE) lint
	TANDEM_REQUIRE=all go test -race $(SQLITE_AS_IT_IS) -timeout 40m ./...
	TANDEM_REQUIRE=all TANDEM_TEST_STREAMS=plain go test -race $(SQLITE_AS_IT_IS) -timeout 40m -run '$(OF_STREAMS)' ./program
	$(MAKE) build
	cd frontend && TANDEM_BIN=$(CURDIR)/bin/tandem npm test

# PREVIOUS=path: a binary of the version before, to run beside this one.
test-faults: ## what may go wrong, each for as long as docs/reliability.md says, with its figures
	scripts/setup
	TANDEM_REQUIRE=all TANDEM_FAULTS=long TANDEM_PREVIOUS=$(PREVIOUS) go test -count=1 -v -timeout 30m \
		-run 'Fault|Failover|SQLiteDisk|SQLiteLocked|FileDescriptors|Neighbouring' ./program
	TANDEM_REQUIRE=all go test -count=1 -v ./valkey

lint: frontend/node_modules ## format, vet, staticcheck, openapi.yaml, eslint, types, and that generated code is up to date
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not gofmt'ed:" $$files; exit 1; fi
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
	scripts/check-generated
	cd frontend && npm run --silent lint

# Whenever the lock file is newer than what was installed by it.
frontend/node_modules: frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund
	touch $@

generate: frontend/node_modules ## the types and routes of api/ and the SDK's types, from openapi.yaml
	cd api && go tool -modfile=../tools/go.mod oapi-codegen -config oapi-codegen.yaml ../openapi.yaml
	cd frontend && npm run --silent generate

bench: ## the figures; make bench ARGS=-short for a quick look
	go run ./bench $(ARGS)

# FUZZTIME=10s for a quick look.
fuzz: ## each fuzz target there is, a minute each; what they find is kept in testdata/fuzz
	scripts/fuzz

audit: frontend/node_modules ## known vulnerabilities in what we depend on, and that versions are pinned; AUDIT_REQUIRE=1
	scripts/audit

release: app ## dist/: binaries for each system, checksums, SBOM; TARGETS="linux/amd64" for some
	scripts/release

clean: ## what building leaves behind; never data
	rm -rf bin dist frontend/node_modules frontend/client/dist frontend/examples/*/dist
	git clean -fdxq frontend/app/dist

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14
