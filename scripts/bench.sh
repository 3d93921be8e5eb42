#!/usr/bin/env bash
# Measures what docs/benchmarks.md shows and writes it anew; further words go to test/bench (-quick, -sites local, …).
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "The cluster part of the benchmarks needs root on Debian. The rest runs with: go run ./test/bench -sites local -page bin/benchmarks.md" >&2
  exit 1
fi
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD -- '*.go' '*.py' go.mod 2>/dev/null || commit="$commit, with changes"
exec go run ./test/bench -date "$(date -u +%F)" -commit "$commit" "$@"
