# `make` alone lists what there is. Everything a target needs and the machine
# lacks comes from contrib/deps.sh.

GO        ?= go
PREFIX    ?= /usr/local
DESTDIR   ?=
# Where e2e runs: testhost (a container with systemd, needs root) or local
# (this machine, as this user).
HOST      ?= testhost
# e2e runs the scripts that match, e.g. RUN=run/exit-code or RUN='run|exec'.
RUN       ?=

export PATH := $(PATH):/usr/local/go/bin

PKG       := github.com/rootless-pod/pod
# No gpgme, no btrfs headers; libseccomp for the profile; journald as log.
TAGS      := containers_image_openpgp,exclude_graphdriver_btrfs,seccomp,systemd
COMMIT    := $(shell git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)
DATE      := $(shell git log -1 --format=%cI 2>/dev/null)
LDFLAGS   := -s -w -X $(PKG)/internal/version.Commit=$(COMMIT) -X $(PKG)/internal/version.Date=$(DATE)
UNIT      := ./cmd/... ./internal/... ./pkg/... ./test/summary/... ./test/bench/... ./test/instructions/... $(if $(wildcard docs/gen),./docs/gen/...)
LINT_VERSION := v2.6.2
DEBUGTOOLS := pkg/image/debugtools
HELPER    := bin/libexec/$(shell sed -n 's/^.define POD_HELPER "\(.*\)"/\1/p' pkg/rootless/nsenter/enter.h)
LINT      := .cache/bin/golangci-lint-$(LINT_VERSION)

# Joining the user namespace is C code: without cgo pod would start itself for ever.
export CGO_ENABLED := 1
export GOFLAGS := -tags=$(TAGS) -buildvcs=false

.DEFAULT_GOAL := help
.PHONY: help deps build install uninstall quickstart test unit race e2e vm-qemu lint docs \
	completions check check-generated bench soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what is missing from the distribution
	@contrib/deps.sh

build: ## build bin/pod and the programs beside it
build: bin/pod quick $(HELPER)

# The go command knows best what is out of date, so it is always asked.
.PHONY: bin/pod
bin/pod: generate
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/pod ./cmd/pod

# pod executes the one that has pod's build id in its name, and no other.
.PHONY: quick
quick: bin/pod
	mkdir -p bin/libexec
	id=$$(LC_ALL=C readelf -n bin/pod | sed -n 's/^ *Build ID: \(.\{16\}\).*/\1/p') && test "$$id" && \
	find bin/libexec -name 'quick-*' ! -name "quick-$$id" -delete && \
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o "bin/libexec/quick-$$id" ./cmd/quick

# Static, so that it starts fast and anywhere.
.PHONY: $(HELPER)
$(HELPER):
	rm -f $(filter-out $@,$(wildcard bin/libexec/helper-*))
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./cmd/helper

# Files the sources embed, but git does not hold.
.PHONY: generate
generate: $(patsubst %.c,%.bin,$(wildcard pkg/image/hello/hello.c)) $(DEBUGTOOLS)/embed/tools.tar.zst

pkg/image/hello/hello.bin: pkg/image/hello/hello.c pkg/image/hello/build.sh
	pkg/image/hello/build.sh

$(DEBUGTOOLS)/embed/tools.tar.zst: $(DEBUGTOOLS)/build.sh $(wildcard $(DEBUGTOOLS)/src/* $(DEBUGTOOLS)/src/*/*.go)
	$(DEBUGTOOLS)/build.sh

install: build man ## install pod, its units, pages and completions below PREFIX (DESTDIR is put in front)
	contrib/install.sh '$(DESTDIR)' '$(PREFIX)'

uninstall: ## remove what install put below PREFIX, and nothing else
	contrib/install.sh --uninstall '$(DESTDIR)' '$(PREFIX)'

# Pages and packages are of the day of the commit, not of the build. Nothing else is told:
# builds of images and their flag's default would take it for theirs.
man deb install: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)

.PHONY: deb
deb: build man ## make a Debian package below bin
	rm -f bin/*.deb
	contrib/deb/build.sh bin

.PHONY: deb-test
deb-test: deb ## install the package in fresh Debian 12 and 13 systems, use it, and remove it
	@test/deb/run

.PHONY: man
man: generate ## write the manual pages into bin/man, from the command tree and the guides
	$(GO) run ./docs/gen man docs bin/man

quickstart: ## install what is missing, build, and run a first container as an ordinary user
	@contrib/quickstart.sh

test: ## everything: unit tests with -race, then e2e on the test host
	@test/run all

unit: generate ## unit tests without -race
	@test/run unit

race: generate ## unit tests with -race
	@test/run race

e2e: e2e-stage ## end-to-end scripts (HOST=testhost|local, RUN=pattern)
	@HOST='$(HOST)' RUN='$(RUN)' test/run e2e

# The test host shows .cache/host/usr/local at /usr/local and the checkout at /src.
.PHONY: e2e-stage
e2e-stage: build
	contrib/install.sh --no-man .cache/host /usr/local
	CGO_ENABLED=0 $(GO) test -c -o .cache/e2e.test ./test/e2e

vm-qemu: e2e-stage ## scripts that need a whole kernel, in an emulated machine (slow: cpuset, weights of I/O, netem, restore)
	@RUN='$(RUN)' test/run vm-qemu

# gVisor's runtime has no Debian package. One build serves every checkout.
.PHONY: runsc
runsc: ## put gVisor's runsc into the test host (a build of a minute or two, once)
	test/host/runsc/build.sh .cache/host/usr/local/bin/runsc

# Debian systems for scripts that build images as projects do. One build serves every
# checkout.
.PHONY: images
images: ## put the systems that images are built on into the test host (some minutes, once)
	test/host/images/build.sh .cache/host/usr/local/share/pod-testhost
	test/host/images/trio.sh .cache/host/usr/local/share/pod-testhost

lint: generate $(LINT) ## golangci-lint and shellcheck
	@contrib/deps.sh lint
	shellcheck -x contrib/*.sh contrib/libexec/* contrib/deb/*.sh contrib/deb/p* test/deb/run $(DEBUGTOOLS)/build.sh test/host/runsc/build.sh test/host/images/build.sh test/host/images/trio.sh test/run test/sweep/*.sh test/soak/*.sh test/host/testhost test/host/vmhost test/host/reboot .ci/run
	$(LINT) run ./...

$(LINT):
	GOBIN='$(CURDIR)/.cache/bin' GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .cache/bin/golangci-lint $@

docs: build ## write docs/reference and docs/compatibility.md from the command tree and the scripts
	$(GO) run ./docs/gen docs test/e2e/testdata

completions: build ## write contrib/completions from the command tree
	contrib/completions.sh contrib/completions

check: lint check-generated test ## exactly what CI asks

check-generated: docs completions
	$(GO) mod tidy -diff
	git diff --exit-code -- docs/reference docs/compatibility.md contrib/completions

bench: e2e-stage ## compare with the test host's podman
	@HOST='$(HOST)' test/run bench

# Seconds say little on a machine that does other things too; instructions do.
.PHONY: instructions instructions-update instructions-stage
instructions: instructions-stage ## count the instructions of a few commands; make test does, and fails above 10 % more
	@HOST='$(HOST)' test/run instructions

instructions-update: instructions-stage ## record the instructions of this checkout (test/instructions/recorded.json)
	@HOST='$(HOST)' test/run instructions-update

# The same programs with their symbols, so that the count can say where it grew. It starts
# quick itself, by any name: valgrind does not count on beyond the exec of another program.
instructions-stage: e2e-stage
	$(GO) build -trimpath -ldflags '$(filter-out -s,$(LDFLAGS))' -o .cache/instructions/bin/pod ./cmd/pod
	$(GO) build -trimpath -ldflags '$(filter-out -s,$(LDFLAGS))' -o .cache/instructions/libexec/pod/quick-counted ./cmd/quick
	CGO_ENABLED=0 $(GO) build -trimpath -o .cache/instructions/count ./test/instructions

.PHONY: bench-page
bench-page: ## write the table of docs/performance.md from the runs in docs/performance
	$(GO) run ./test/bench -table -page docs/performance.md docs/performance/run-*.json

soak: e2e-stage ## 10000 execs and attaches, then 200 containers for ten minutes, in the test host
	@test/run soak

clean: ## delete what was built (the test host's files stay; see test/host/testhost clean)
	rm -rf bin .cache/host .cache/results .cache/instructions .cache/e2e.test pkg/image/hello/hello.bin $(DEBUGTOOLS)/embed/tools.tar.zst
