# make app: the page on which pictures and films are dropped, in .venv-light.
# make demo: classify the example pictures.   make test: lint and the whole test suite.
# make demo-light: the same by ONNX Runtime alone, in a .venv-light of its own, without PyTorch and TensorFlow.
# make export: weights to ONNX.   make probe: what tells shots from titles fitted anew, on data/shotmix; then export.
# make figures: the tables of both README files from cards and predictions.
# make benchmark: speed and memory.   make fuzz: 2,000 damaged films and pictures, on Linux.
# make clean: remove what these made.
PYTHON ?= python3.11
READY = .venv/.requirements-installed
LIGHT = .venv-light/.requirements-installed
RIGHT_PYTHON = $(PYTHON) --version | grep -q "Python 3\.11" || { echo "make: Python 3.11 is needed; name it with PYTHON=..."; exit 1; }

.PHONY: app demo demo-light test export probe figures benchmark fuzz clean

app: $(LIGHT)
	@.venv-light/bin/shot-types app $(APP)

demo: $(READY)
	@.venv/bin/python tools/demo.py

demo-light: $(LIGHT)
	@.venv-light/bin/python tools/demo.py --light

test: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest -n 2 --dist loadfile
	.venv/bin/coverage combine --quiet
	.venv/bin/coverage report

export: $(READY)
	@.venv/bin/python tools/export.py

probe: $(READY)
	@.venv/bin/python tools/probe.py

figures: $(READY)
	@.venv/bin/python tools/figures.py

benchmark: $(READY)
	@.venv/bin/python -m tools.benchmark

fuzz: $(READY)
	@.venv/bin/python tools/fuzz.py

clean:
	rm -rf .venv .venv-light build

$(READY): requirements.txt pyproject.toml
	@$(RIGHT_PYTHON)
	@echo "Installing requirements.txt into .venv: a few minutes, once"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# Kept under 500 MB: byte code only of what is used, and without pip and what else nothing here runs.
$(LIGHT): requirements-light.txt pyproject.toml
	@$(RIGHT_PYTHON)
	@echo "Installing requirements-light.txt into .venv-light: a minute, once"
	@$(PYTHON) -m venv .venv-light
	@.venv-light/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-light.txt
	@.venv-light/bin/python -m pip uninstall --quiet --yes setuptools pip
	@cd .venv-light/lib/python3.11/site-packages && rm -rf onnxruntime/transformers \
		&& find . -type d -name tests -prune -exec rm -rf {} + && find . -name "*.pyi" -delete
	@touch $@
