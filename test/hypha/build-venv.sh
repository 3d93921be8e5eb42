#!/bin/bash
# build-venv.sh PYTHON DIR: the virtual environment of the Hypha server and of the Python clients. Its programs in bin/ name
# DIR in their first line and die with a rename: run `bin/python -m NAME`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$1" -m venv "$2"
"$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: -r "$here/requirements.lock"
"$2/bin/python" -m pip check
