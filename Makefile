# Everything one needs from a fresh clone; `make` alone lists it.
# Needs Swift 6.3 in PATH and Debian 12; installs the rest from Debian and PyPI, only what is missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One thing after the other, but for what `check` asks for.
ifndef MEANWHILE
.NOTPARALLEL:
endif
MAKEFLAGS += --no-print-directory

# A crash tells where it was and ends the run; it does not wait for a debugger.
export SWIFT_BACKTRACE := enable=yes,interactive=no,color=no,threads=crashed,registers=none,images=none,timeout=120s

DATA ?= ./asm-data
WEB_PORT ?= 8080
WEB ?= http://127.0.0.1:$(WEB_PORT)
SCREENSHOTS ?= .build/screenshots

# To build: libraries, the headers that the toolchain links with, and `strip` and `readelf` for `make install`. To test:
# databases, proxies and browsers, and what the failover suite makes machines of: Patroni and etcd, network namespaces,
# packet filters, wrong clocks.
BUILD_PACKAGES := git ca-certificates libc6-dev libstdc++-12-dev pkg-config zlib1g-dev binutils \
	libpq-dev libsqlite3-dev libsodium-dev libcurl4-openssl-dev libxml2-dev
TEST_PACKAGES := postgresql haproxy nginx-light chromium chromium-driver fonts-noto-core fonts-noto-color-emoji \
	fonts-wqy-microhei python3-venv procps python3-aiosmtpd openssl curl testssl.sh \
	util-linux patroni python3-etcd etcd-server nftables iproute2 libfaketime strace
PROTO_PACKAGES := protobuf-compiler

# A run that hangs fails: each of the runs of `make test` stays far below this.
TEST_MINUTES := 30
# More at once, each with connections of its own, and two cores do not keep the deadlines that are tested.
TESTS_AT_ONCE := 3
# Each part of the tests keeps its log here, and how long its tests took, as PART.log and PART.times.
TEST_LOGS := .build/tests
# Without an index the package manager does not find the tests; leaving out the debugger's information saves no time (11.3
# minutes of two cores' work with and without). In a folder of its own, so that the release build can be made meanwhile.
TEST_FOLDER := .build-tests
TEST_BUILD := --disable-xctest --scratch-path $(TEST_FOLDER)
# What `swift test` would start, without locking the folder.
TEST_PROGRAM := $(TEST_FOLDER)/debug/asmPackageTests.xctest --testing-library swift-testing
# The Swift runtime goes into the program, so that a server needs no Swift.
RELEASE := -c release --static-swift-stdlib
PREFIX ?= /usr/local
VENV := .build/venv
LINTED := Package.swift Sources Tests
# Rows of the failover matrix: `make test` runs the short selection, `make failover` those in ROWS or all of them.
ROWS ?=
FAILOVER_SHORT := f01 f06 f09 f14
FAILOVER_ELSEWHERE := OutageTests|LostAnswerTests|NoStickinessTests|UnrulyStreamTests|DatabaseDiskTests|BadNetworkTests
FAILOVER_MINUTES := 60
FAILOVER_RESULTS := .build/failover
PRIVATE_NETWORK := Tests/Failover/in-private-network
PROTOC_GEN_SWIFT := .build/protoc-gen-swift/release/protoc-gen-swift

.PHONY: help
help: ## List what can be made.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: run
run: deps release ## Build, and run everything in one process with a demonstration customer on port 8080.
	"$$(swift build $(RELEASE) --show-bin-path)/asm" up --data $(DATA) --web-port $(WEB_PORT) --demo

.PHONY: test
test: test-deps lint Package.resolved ## Install what is missing, build, and pass every test.
	@$(MAKE) -j2 MEANWHILE=yes build-tests release-meanwhile
	@$(MAKE) check

.PHONY: build
build: deps ## Build for development.
	swift build $(TEST_BUILD)

.PHONY: release
release: deps ## Build for use.
	swift build $(RELEASE) --product asm

# The names of functions stay, and what reads them goes beside, so that a crash leaves a trace in the log.
.PHONY: install
install: release ## Build, and install the program as $(PREFIX)/bin/asm (DESTDIR for packages); it needs no Swift there.
	Tests/needed-packages "$$(swift build $(RELEASE) --show-bin-path)/asm" docs/high-availability.md
	install -D -m 755 "$$(swift build $(RELEASE) --show-bin-path)/asm" "$(DESTDIR)$(PREFIX)/bin/asm"
	strip --strip-debug "$(DESTDIR)$(PREFIX)/bin/asm"
	install -D -m 755 "$$(dirname "$$(dirname "$$(readlink -f "$$(command -v swift)")")")/libexec/swift/linux/swift-backtrace-static" \
		"$(DESTDIR)$(PREFIX)/libexec/swift/linux/swift-backtrace"

.PHONY: build-tests
build-tests: deps
	swift build --build-tests $(TEST_BUILD)

# Runs tests as the part $(1), those that the options $(2) choose. The log must end with a run of at least one test that
# passed: a runner that crashed or found nothing fails here.
define run_tests
	@mkdir -p $(TEST_LOGS)
	@rm -f $(TEST_LOGS)/$(1).times
	ASM_TEST_TIMES=$(CURDIR)/$(TEST_LOGS)/$(1).times timeout --kill-after=30s $(TEST_MINUTES)m \
		$(TEST_PROGRAM) $(2) 2>&1 \
		| tee $(TEST_LOGS)/$(1).log \
		|| { echo "make: tests failed, crashed or took longer than $(TEST_MINUTES) minutes: $(1)" >&2; exit 1; }
	@grep -qE 'Test run with [1-9][0-9]* tests? .*passed' $(TEST_LOGS)/$(1).log \
		|| { echo "make: no test was run: $(1)" >&2; exit 1; }
	@if [[ -s $(TEST_LOGS)/$(1).times ]]; then \
		echo 'The slowest tests, in seconds:'; sort -rn $(TEST_LOGS)/$(1).times | sed -n 1,10p; \
	fi
endef

SEVERAL := --experimental-maximum-parallelization-width $(TESTS_AT_ONCE)
WHOLE_SYSTEM := ^SystemTests\.(SystemTests|TimedTests|ReleaseTests)

# First what runs in this process, and single commands; then the whole system in processes; alone what measures less than
# a second; last what users run, from the release build.
.PHONY: check
check: ## Run the tests that are built, and those of the release build; FILTER=NAME runs some of them.
ifdef FILTER
	$(call run_tests,chosen,--filter '$(FILTER)' $(SEVERAL))
else
	$(call run_tests,parts,--skip '$(WHOLE_SYSTEM)' --skip FailoverTests $(SEVERAL))
	$(call run_tests,system,--filter '^SystemTests\.SystemTests' --skip LinkFuzzTests $(SEVERAL))
	$(call run_tests,timed,--filter '^SystemTests\.TimedTests')
	@$(MAKE) check-release
endif

# Each build waits for its longest files: side by side they leave no processor idle. The log of this one is kept apart.
.PHONY: release-meanwhile
release-meanwhile:
	@mkdir -p $(TEST_LOGS)
	@swift build $(RELEASE) --product asm > $(TEST_LOGS)/release-build.log 2>&1 \
		|| { tail -50 $(TEST_LOGS)/release-build.log; echo "make: the release build failed" >&2; exit 1; }

.PHONY: check-release
check-release: export ASM_TEST_BINARY = $(shell swift build $(RELEASE) --show-bin-path)/asm
check-release: export ASM_FAILOVER_BINARY = $(ASM_TEST_BINARY)
check-release: ## Run the tests of what users run on the release build: every command, the watch, the link's fuzzer, rows of the failover suite.
	$(call run_tests,release,--filter '^SystemTests\.ReleaseTests|LinkFuzzTests')
	@$(MAKE) failover-short

# Namespaces need root. Continuous integration must not leave rows out unnoticed.
.PHONY: failover-short
failover-short:
	@if unshare --net --mount --pid --fork true 2>/dev/null; then \
		$(MAKE) failover-rows ROWS="$(FAILOVER_SHORT)" FAILOVER_RESULTS=.build/failover-short FAILOVER_MINUTES=15; \
	else \
		echo "make: not run, because network namespaces need root: failover rows $(FAILOVER_SHORT)" >&2; \
		[[ "$${CI:-}" != true ]]; \
	fi

.PHONY: failover
failover: test-deps build-tests ## Break everything that can be broken and write docs/failover.md; ROWS=F01,F04 some rows, BUILD=debug with the debug build.
ifneq ($(BUILD),debug)
	@$(MAKE) release
	$(if $(ROWS),,rm -rf $(FAILOVER_RESULTS))
	@status=0; \
	$(if $(ROWS),,$(MAKE) failover-elsewhere || status=$$?;) \
	ASM_FAILOVER_BINARY="$$(swift build $(RELEASE) --show-bin-path)/asm" $(MAKE) failover-rows || status=$$?; \
	python3 Tests/Failover/report.py $(FAILOVER_RESULTS) docs/failover.md; exit $$status
else
	@status=0; $(MAKE) failover-rows || status=$$?; \
	python3 Tests/Failover/report.py $(FAILOVER_RESULTS) docs/failover.md; exit $$status
endif

# Rows that process tests on loopback prove; what is a row by itself is not run here again.
.PHONY: failover-elsewhere
failover-elsewhere:
	@mkdir -p $(FAILOVER_RESULTS)
	@timeout --kill-after=30s $(TEST_MINUTES)m $(TEST_PROGRAM) \
		--filter '$(FAILOVER_ELSEWHERE)' > $(FAILOVER_RESULTS)/elsewhere.log 2>&1 \
		|| { grep -E '✘|↳' $(FAILOVER_RESULTS)/elsewhere.log; echo "make: process tests of rows failed" >&2; exit 1; }

# The rows by themselves, in a network of their own: `f01 f04` becomes a pattern of their functions' names.
.PHONY: failover-rows
failover-rows:
	@mkdir -p $(FAILOVER_RESULTS)
	@rows=$$(tr ', ' '||' <<<'$(ROWS)' | tr -s '|' | tr '[:upper:]' '[:lower:]'); \
	ASM_FAILOVER_RESULTS=$(CURDIR)/$(FAILOVER_RESULTS) \
	setpriv --pdeathsig KILL -- timeout --kill-after=30s $(FAILOVER_MINUTES)m \
		setpriv --pdeathsig TERM -- $(PRIVATE_NETWORK) \
		$(TEST_PROGRAM) --filter "FailoverTests.*/($${rows:-f[0-9]+})\(\)" 2>&1 \
		| tee $(FAILOVER_RESULTS)/log \
		|| { echo "make: failover rows failed, or took longer than $(FAILOVER_MINUTES) minutes" >&2; exit 1; }
	@grep -qE 'Test run with [1-9][0-9]* tests? .*passed' $(FAILOVER_RESULTS)/log \
		|| { echo "make: no failover row was run" >&2; exit 1; }

.PHONY: lint
lint: swift ## Check that all Swift is formatted as `make format` would format it.
	swift format lint --strict --recursive --parallel $(LINTED)

.PHONY: format
format: swift ## Format all Swift.
	swift format --in-place --recursive --parallel $(LINTED)

.PHONY: browsers
browsers: test-deps ## Let two people of the demonstration talk in real browsers; `make run` must be running.
	$(VENV)/bin/python Tests/Browser/exchange.py --web $(WEB) --screenshots $(SCREENSHOTS) \
		--login ann --password-file $(DATA)/demo-password.txt \
		--login2 omar --password-file2 $(DATA)/demo-password.txt

.PHONY: proto
proto: swift $(PROTOC_GEN_SWIFT) ## Generate the Swift of the service link anew from its .proto file.
	@$(call install,$(PROTO_PACKAGES))
	cd Sources/ServiceLink/Contract && protoc --plugin=protoc-gen-swift=$(CURDIR)/$(PROTOC_GEN_SWIFT) \
		--swift_opt=Visibility=Package --swift_opt=UseAccessLevelOnImports=true --swift_out=. link.proto

# The generator of the very version of swift-protobuf that the package uses.
$(PROTOC_GEN_SWIFT): Package.resolved
	swift package resolve
	swift build -c release --product protoc-gen-swift --package-path .build/checkouts/swift-protobuf \
		--scratch-path .build/protoc-gen-swift

Package.resolved:
	swift package resolve

.PHONY: clean
clean: ## Remove what was built; data in asm-data stays.
	rm -rf .build $(TEST_FOLDER)

.PHONY: deps
deps: swift ## Install from Debian what building needs.
	@$(call install,$(BUILD_PACKAGES))

.PHONY: test-deps
test-deps: deps test-packages $(VENV)/.installed ## Install from Debian and PyPI what testing needs.

.PHONY: test-packages
test-packages:
	@$(call install,$(TEST_PACKAGES))

$(VENV)/.installed: Tests/Browser/requirements.txt | test-packages
	rm -rf $(VENV)
	python3 -m venv $(VENV)
	$(VENV)/bin/pip --quiet --disable-pip-version-check install --requirement $<
	touch $@

.PHONY: swift
swift:
	@command -v swift >/dev/null || { \
		echo "make: there is no 'swift' in PATH. Install Swift 6.3 (https://www.swift.org/install/linux/)" >&2; \
		echo "make: and put the usr/bin of its folder into PATH." >&2; exit 1; }
	@version=$$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+)\.([0-9]+).*/\1 \2/p'); \
	read -r major minor <<<"$$version"; \
	if (( $${major:-0} * 1000 + $${minor:-0} < 6003 )); then \
		echo "make: Swift 6.3 or newer is needed; $$(command -v swift) is $${version/ /.}" >&2; exit 1; fi

# Installs those of the Debian packages $(1) that are missing.
define install
	missing=(); \
	for package in $(1); do \
		[[ "$$(dpkg-query -W -f='$${Status}' "$$package" 2>/dev/null)" == 'install ok installed' ]] \
			|| missing+=("$$package"); \
	done; \
	if (( $${#missing[@]} > 0 )); then \
		as_root=(); \
		if (( $$(id -u) != 0 )); then \
			command -v sudo >/dev/null || { echo "make: as root, install: $${missing[*]}" >&2; exit 1; }; \
			as_root=(sudo); \
		fi; \
		command -v apt-get >/dev/null || { echo "make: install these yourself, there is no apt-get: $${missing[*]}" >&2; exit 1; }; \
		echo "make: installing $${missing[*]}"; \
		"$${as_root[@]}" apt-get update -q; \
		"$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -q --no-install-recommends "$${missing[@]}"; \
	fi
endef
