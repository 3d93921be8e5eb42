#!/usr/bin/env bash
# Measures what docs/benchmarks.md shows and writes it anew.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go run ./test/bench
