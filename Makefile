# make demo: classify the example pictures.   make test: lint and the whole test suite.
# make benchmark: speed and memory.           make clean: remove what these made.
PYTHON ?= python3.11
READY = .venv/.requirements-installed

.PHONY: demo test benchmark clean

demo: $(READY)
	@.venv/bin/python tools/demo.py

test: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m pytest

benchmark: $(READY)
	@.venv/bin/python tools/benchmark.py

clean:
	rm -rf .venv build

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) --version | grep -q "Python 3\.11" || { echo "make: Python 3.11 is needed; name it with PYTHON=..."; exit 1; }
	@echo "Installing requirements.txt into .venv: a few minutes, once"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@
