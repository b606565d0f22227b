# SPDX-License-Identifier: LGPL-2.1-or-later
# Thin on purpose: the build is meson's, each test is a script of its own. README.md says what the targets do.
BUILD ?= build

build: packages
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@ninja -C $(BUILD)

packages:
	@tests/packages

demo: build
	@BERTH_BUILD=$(abspath $(BUILD)) tests/demo

check: packages
	@BUILD=$(abspath $(BUILD)) tests/run

bench: build
	@BERTH_BUILD=$(abspath $(BUILD)) tests/sandbox --images debian -- tests/bench/run.py

fuzz: packages
	@BUILD=$(abspath $(BUILD)) tests/fuzz/run

# Every call of every process: some hours
kill-all: build
	@BERTH_BUILD=$(abspath $(BUILD)) tests/kill/run.py all

# Each check removed in turn, and whether a test sees it: an hour
mutate: packages
	@BUILD=$(abspath $(BUILD)) tests/mutate

coverage: packages
	@BUILD=$(abspath $(BUILD)) tests/coverage

privileged-lines: build
	@BUILD=$(BUILD) tests/privileged-lines

fresh: packages
	@tests/fresh

install: build
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

.PHONY: build packages demo check bench fuzz kill-all mutate coverage privileged-lines fresh install
