# Tasks for contributors. `just` alone lists them.

_default:
    @just --list

# install charrnn for development into the active virtual environment, with its commit hooks
setup:
    pip install -e '.[dev,plot]'
    pip install pre-commit && pre-commit install

# the default tests, or those that the arguments select: just test tests/cells -k lstm
test *ARGS:
    pytest {{ARGS}}

# the slow tests
slow *ARGS:
    pytest -m slow {{ARGS}}

# the tests that need a GPU
gpu *ARGS:
    pytest -m gpu -n 0 {{ARGS}}

# style and format
lint:
    ruff check .
    ruff format --check .

# format the code and repair what can be repaired
format:
    ruff check --fix .
    ruff format .

# types
types:
    mypy

# record the digests of small runs: just bits before.json
bits FILE:
    python tests/helpers/digests.py record {{FILE}}

# compare two recordings
same BEFORE AFTER:
    python tests/helpers/digests.py compare {{BEFORE}} {{AFTER}}

# one benchmark: just bench train_step --quick
bench NAME *ARGS:
    python benchmarks/{{NAME}}.py {{ARGS}}

# the files of a release, for every platform: just wheels dist
wheels FOLDER="dist":
    .ci/wheels {{FOLDER}}

# everything that a change must pass
gate:
    .ci/run
