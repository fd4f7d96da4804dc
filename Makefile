# make demo   compile and run examples/colorpoint.bcl, show its constructor's assembly
# make test   everything: style, types, tests
# Each makes .venv and installs what it needs there; nothing else on the machine is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

# Each command that the tests start would compile all our modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint conformance fuzz-abi sox-all bcpl-all x64-all sox-soak mutants fuzz-check fuzz-link macos-all loops-all debug-all third-party link-huge faults bench wheel-check clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: $(VENV)/.installed
	@echo '--- callproof build examples/colorpoint.bcl -o build/colorpoint'
	@mkdir -p build
	@$(BIN)/callproof build examples/colorpoint.bcl -o build/colorpoint
	@echo '--- callproof run build/colorpoint'
	@$(BIN)/callproof run build/colorpoint
	@echo '--- callproof asm examples/colorpoint.bcl --function ColorPoint::CREATE'
	@$(BIN)/callproof asm examples/colorpoint.bcl --function ColorPoint::CREATE

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -q -n $(JOBS)

# Our calls against Clang's and GCC's: two minutes, or ARGS='--count 10000 --seed 7 ...'.
conformance: $(VENV)/.installed
	$(BIN)/python -m tests.conformance $(ARGS)

# The same on every platform for ten minutes each; what differs is kept as a regression test.
# Over a Dask cluster: ARGS='--scheduler tcp://host:8786'.
fuzz-abi: $(VENV)/.installed
	$(BIN)/python -m tests.conformance --all --seconds 600 --store $(ARGS)

# Every Sox program in all nine ways (levels; plain, poisoned, collecting all the time).
sox-all: $(VENV)/.installed
	CALLPROOF_SOX_ALL=1 CALLPROOF_SOX_RANDOM=2000 $(BIN)/python -m pytest -q -n $(JOBS) tests/sox/test_compiled.py tests/sox/test_interpreted.py

# Every NewBCPL program in all its ways, and all programs of both languages on x86-64.
bcpl-all: $(VENV)/.installed
	CALLPROOF_BCPL_ALL=1 CALLPROOF_BCPL_RANDOM=500 $(BIN)/python -m pytest -q -n $(JOBS) tests/test_programs.py tests/bcpl/test_random.py

x64-all: $(VENV)/.installed
	CALLPROOF_X64_ALL=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/test_programs_x64.py tests/test_programs_x64_emulated.py

# 10 GB allocated in all while 50 MB are live.
sox-soak: $(VENV)/.installed
	CALLPROOF_SOX_SOAK=10000 $(BIN)/python -m pytest -q -s tests/sox/test_soak.py

# Correct functions, each broken by one edit and seen to be broken; what does the checker say?
mutants: $(VENV)/.installed
	$(BIN)/python -m tests.check.mutants --seeds 1 --modules 4 --most 26 $(ARGS)

# Damaged ELF and Mach-O files and archives for the checker; ARGS='--count 100000'.
fuzz-check: $(VENV)/.installed
	$(BIN)/python -m tests.check.fuzz --count 100000 $(ARGS)

# Random nests of loops in the interpreter and on both targets; every located variable at every line.
loops-all: $(VENV)/.installed
	CALLPROOF_RANDOM_LOOPS=2000 $(BIN)/python -m pytest -q tests/passes/test_random_loops.py

debug-all: $(VENV)/.installed
	CALLPROOF_DEBUG_SEEDS=0:300 $(BIN)/python -m pytest -q -n $(JOBS) tests/debug/test_truth.py

# zlib, SQLite and Lua from Debian's sources (apt-get source, tclsh, gcc, aarch64-linux-gnu-gcc, qemu),
# and a program with 300 MB of code.
third-party: $(VENV)/.installed
	CALLPROOF_THIRD_PARTY=1 $(BIN)/python -m pytest -q -s tests/link/test_third_party.py

link-huge: $(VENV)/.installed
	CALLPROOF_HUGE=1 $(BIN)/python -m pytest -q tests/link/test_huge.py

# Damaged inputs for the linker and every reader of objects, libraries, archives and debug lines.
fuzz-link: $(VENV)/.installed
	$(BIN)/python -m tests.link.fuzz --count 100000 $(ARGS)

# Every program, compiled for macOS, on a small macOS of our own in the emulator.
macos-all: $(VENV)/.installed
	CALLPROOF_MACOS_ALL=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/test_programs_macos.py

# Every system call of a build, a link and a listing fails once; kills at random moments (strace).
faults: $(VENV)/.installed
	CALLPROOF_FAULTS=0 CALLPROOF_KILLS=40 $(BIN)/python -m pytest -q tests/test_faults.py

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/bcpl.py
	$(BIN)/python benchmarks/compile_time.py
	$(BIN)/python benchmarks/sox.py
	$(BIN)/python benchmarks/check.py
	$(BIN)/python benchmarks/wall.py --rounds 3
	$(BIN)/python benchmarks/link.py

# Build the wheel as it is by default (hot modules compiled) and of Python only, install each
# alone, run a program with it (no compiler needed then): both make the same files.
wheel-check: $(VENV)/.installed
	rm -rf build/wheel build/wheel-venv build/wheel-pure-venv
	$(BIN)/python -m pip wheel --quiet --no-deps -w build/wheel/compiled .
	CALLPROOF_MYPYC=0 $(BIN)/python -m pip wheel --quiet --no-deps -w build/wheel/pure .
	test $$(stat -c %s build/wheel/pure/*.whl) -lt 12000000
	test $$(stat -c %s build/wheel/compiled/*.whl) -lt 30000000
	$(PYTHON) -m venv build/wheel-venv
	$(PYTHON) -m venv build/wheel-pure-venv
	build/wheel-venv/bin/python -m pip install --quiet build/wheel/compiled/*.whl
	build/wheel-pure-venv/bin/python -m pip install --quiet build/wheel/pure/*.whl
	build/wheel-venv/bin/callproof run examples/colorpoint.bcl
	build/wheel-pure-venv/bin/callproof --version | grep -q 'pure Python'
	build/wheel-venv/bin/callproof --version | grep -q compiled
	$(BIN)/python benchmarks/wheels.py build/wheel-pure-venv/bin/python build/wheel-venv/bin/python

clean:
	rm -rf $(VENV) build dist
