# make train   the first run: BERT4Rec on MovieLens-100K, beside the Popular baseline
# make test    the whole default test suite
# make check   style, types, and the wheel with its dataset cards
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install train test check clean

install: .venv/installed

# The recbole wheel is installed for the copy of MovieLens-100K that it carries; recbole itself is never imported.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps recbole==1.2.1
	touch $@

train: install
	$(BIN)/python -m recpref.train model=bert4rec data=ml_100k

test: install
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	mkdir -p build && rm -rf build/wheel && $(BIN)/python -m build --wheel --outdir build/wheel . > build/wheel.log 2>&1 || (cat build/wheel.log; exit 1)
	$(BIN)/python -m zipfile --list build/wheel/*.whl | grep "recpref/cards/.*toml"
	$(BIN)/python -m zipfile --list build/wheel/*.whl | grep "recpref/suites/.*toml"
	$(BIN)/python -m zipfile --list build/wheel/*.whl | grep "recpref/claims.toml"
	$(BIN)/python -m zipfile --list build/wheel/*.whl | grep "leaderboard/page"

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
