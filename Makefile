# Each target sets up what it needs, so that it runs on a bare machine with Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TRANSPORT ?= websocket
DEMO ?=
BENCH ?=

.PHONY: demo test check bench format clean

demo: $(READY)  ## an agent holds a spoken conversation with the local server
	$(BIN)/jackfield demo --transport $(TRANSPORT) $(DEMO)

test: $(READY) check  ## everything that proves the product
	mkdir -p out
	$(BIN)/python -m pytest --jackfield-report out/conformance.json
	$(BIN)/python -m jackfield.testing.conformance out/conformance.json --into docs/transports.md --check

check: $(READY)  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## what it costs, beside a floor, in one run
	$(BIN)/python -m bench $(BENCH)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) out

$(READY): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
		--editable '.[all]' --editable 'plugins/local[speech,webrtc,sip]' --editable plugins/otel \
		--editable 'plugins/gemini[local]' --editable plugins/openai-agents --group dev
	touch $@
