# gxbus: everything a contributor or the CI runs. `make` lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BENCHTIME   ?= 2s
FUZZTIME    ?= 10s
KILL_ROUNDS ?= 50
NET_LEASE   ?= 1
LINEAR_RUNS ?= 20
MOVE_ROUNDS ?= 30
CHAOS       ?= 10m
BACKLOG     ?= 100000
SOAK        ?= 10m
AT_ONCE     ?= 4

# Builds never ask git for anything, so that they also work in an export and in
# a checkout that belongs to somebody else.
# All of them are alike but for the race detector, so that each package is compiled
# once for what is run, tested and linted.
export GOFLAGS := $(filter-out -buildvcs=% -trimpath,$(shell go env GOFLAGS)) -buildvcs=false -trimpath
export CGO_ENABLED := 0

TOOLS := build/tools

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static program build/gxbus
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o build/gxbus ./node

.PHONY: demo
demo: build ## run five nodes of three levels on this machine and tell their story
	build/gxbus demo

.PHONY: test
test: ## run all tests; needs only Go and make
	go test -timeout 20m ./...
	@$(MAKE) --no-print-directory tell-skipped

.PHONY: race
race: ## run all tests under the race detector; needs gcc. Lint has vetted what is run here
	CGO_ENABLED=1 go test -race -vet=off -ldflags '-s -w' -p $(AT_ONCE) -timeout 20m ./...
	@$(MAKE) --no-print-directory later
	@$(MAKE) --no-print-directory tell-skipped

# What the detector is given in small, whole; and the tests that it is not given, in
# whose first line stands raced.Later.
LATER := grep -rB1 --include='*_test.go' 'raced\.Later(t)' node pkg

.PHONY: later
later:
	go test -vet=off ./pkg/identity ./pkg/decision/replay ./pkg/directory/search ./pkg/directory/state
	@names=$$($(LATER) | sed -n 's/.*func \(Test[A-Za-z0-9_]*\).*/\1/p' | sort); \
		test "$$(echo "$$names" | wc -l)" = "$$($(LATER) | grep -c 'raced\.Later')" || { echo "raced.Later is not in the first line of a test"; exit 1; }; \
		go test -vet=off -timeout 5m -run "^($$(echo $$names | tr ' ' '|'))$$" $$($(LATER) | sed -n 's|\(.*\)/[^/]*_test.go[:-].*|./\1|p' | sort -u)

# The tests that need an ext4 disk of their own, and so root and loop devices. Where
# the package that makes the disk skips its own tests, those skip as well.
ON_A_DISK := TestPowerCut|TestFullDisk|TestCut

.PHONY: tell-skipped
tell-skipped:
	@if go test -vet=off -count=1 -v ./pkg/internal/powercut | grep -q -e '--- SKIP'; then \
		echo; grep -rEo --include='*_test.go' '^func ($(ON_A_DISK))[A-Za-z0-9]*' node pkg | sed 's/func //'; \
		echo "SKIPPED: the tests above cut the power of a disk of their own or fill it; run them as root on Linux"; \
	fi

.PHONY: lint
lint: tools ## check format, vet, staticcheck and the project's own rules
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt these:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	$(TOOLS)/staticcheck -checks all ./...
	$(TOOLS)/gxlint .
	go -C .ci/tools vet ./...
	go -C .ci/tools test ./...

.PHONY: check
check: lint ## what the CI runs: lint, all tests with -race, a short kill and a short chaos test, policy tests
	@$(MAKE) --no-print-directory -j2 race beside

# What runs beside the tests under the race detector, which mostly wait.
.PHONY: beside
beside:
	@$(MAKE) --no-print-directory test-policies
	@$(MAKE) --no-print-directory test-kill KILL_ROUNDS=5
	@$(MAKE) --no-print-directory test-chaos CHAOS=60s

.PHONY: test-kill
test-kill: ## kill -9 random nodes under load, KILL_ROUNDS=50 times
	@grep -q '^func TestKill' node/*_test.go || { echo "there is no TestKill in ./node"; exit 1; }
	GXBUS_KILL_ROUNDS=$(KILL_ROUNDS) go test -vet=off ./node -run TestKill -count=1 -timeout 300s

.PHONY: test-chaos
test-chaos: ## kill, pause, cut off, slow down and fill up five nodes under load for CHAOS=10m, and account for every event and query
	@grep -q '^func TestChaos' node/*_test.go || { echo "there is no TestChaos in ./node"; exit 1; }
	GXBUS_CHAOS=$(CHAOS) go test -vet=off ./node -run TestChaos -count=1 -v -timeout 1800s

.PHONY: test-backlog
test-backlog: ## publish BACKLOG=100000 events for a node that is down, and for others that are not
	@grep -q '^func TestBacklog' node/*_test.go || { echo "there is no TestBacklog in ./node"; exit 1; }
	GXBUS_BACKLOG=$(BACKLOG) go test -vet=off ./node -run TestBacklog -count=1 -v -timeout 900s

.PHONY: test-soak
test-soak: ## share events at half the rate that two nodes can for SOAK=10m: nothing but evidence may grow
	@grep -q '^func TestSoak' node/*_test.go || { echo "there is no TestSoak in ./node"; exit 1; }
	GXBUS_SOAK=$(SOAK) go test -vet=off ./node -run TestSoak -count=1 -v -timeout 3600s

.PHONY: test-linear
test-linear: ## check that writes and consistent reads are linearizable under faults, LINEAR_RUNS=20 times
	@grep -q '^func TestLinear' node/*_test.go || { echo "there is no TestLinear in ./node"; exit 1; }
	GXBUS_LINEAR_RUNS=$(LINEAR_RUNS) go test ./node -run TestLinear -count=1 -v -timeout 1200s

.PHONY: test-net
test-net: ## cut, slow and heal a network of namespaces, past the lease (7 min); needs root, iproute2, nftables
	go test -c -o build/net.test ./node
	cd node && GXBUS_NET=1 GXBUS_NET_LEASE=$(NET_LEASE) unshare --net $(CURDIR)/build/net.test -test.run '^TestNet$$' -test.v -test.timeout 900s

.PHONY: test-move
test-move: ## move departments under load and kill -9 their nodes meanwhile, MOVE_ROUNDS=30 times
	GXBUS_MOVE_ROUNDS=$(MOVE_ROUNDS) go test ./node -run TestMoveUnderLoad -count=1 -timeout 900s

.PHONY: nightly
nightly: ## the tests that take longer than a commit should wait, one after the other; needs root
	@set -e; for target in test-kill test-move test-linear test-net test-backlog test-chaos test-soak test-office; do \
		$(MAKE) --no-print-directory $$target; \
	done

.PHONY: test-policies
test-policies: ## run the tests of the shipped policies
	go test -vet=off -count=1 ./pkg/policy -run 'Shipped|Recipe|RuleIndexing'

OFFICE ?= build/office

.PHONY: test-office
test-office: ## recalculate and render exported reports in LibreOffice and Chromium, pictures in build/office; needs root on Debian
	@which soffice chromium pdftoppm fc-list >/dev/null && fc-list :lang=zh | grep -q . || \
		{ apt-get update && apt-get install -y --no-install-recommends libreoffice-calc-nogui chromium poppler-utils fontconfig fonts-noto-cjk; }
	GXBUS_OFFICE=$(abspath $(OFFICE)) go test -vet=off ./pkg/evaluation/export -run 'TestOffice|TestChromium' -count=1 -v -timeout 900s

.PHONY: bench
bench: build tools ## run the benchmarks of docs/performance.md into build/bench.json
	$(TOOLS)/benchjson -names docs/performance.md -benchtime $(BENCHTIME) -o build/bench.json

.PHONY: bench-growth
bench-growth: ## the catalogue's figures at 10,000, 100,000 and 300,000 entries (7 min)
	GXBUS_CATALOGUE=10000,100000,300000 go test ./node -run '^$$' -bench Catalogue -benchtime 1x -timeout 90m

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME=10s
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: tools
tools:
	@mkdir -p $(TOOLS)
	@go -C .ci/tools build -o $(CURDIR)/$(TOOLS)/ ./gxlint ./benchjson honnef.co/go/tools/cmd/staticcheck

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build
