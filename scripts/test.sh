#!/usr/bin/env bash
# test.sh unit|systems|full: the test commands of the Makefile.
#   unit     needs Go, gcc and Python; says what it left out
#   systems  everything, on a real Slurm + Apptainer cluster in namespaces (root on Debian)
#   full     systems, and what takes longer
set -euo pipefail
cd "$(dirname "$0")/.."
level=${1:?unit, systems or full}

for tool in go gcc python3; do
  command -v "$tool" >/dev/null || { echo "make test needs $tool, which is not installed." >&2; exit 1; }
done

tags=
if [ "$level" != unit ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The cluster part of the tests needs root on Debian (or a VM; on Ubuntu with MIRROR set to a Debian mirror): run 'make test-unit' for what needs only Go, gcc and Python." >&2
    exit 1
  fi
  tags=systems
  [ "$level" = full ] && tags=systems,full
  parts=(hypha node cluster image)
else
  parts=(hypha)
fi

make --no-print-directory lint
go run ./test/bed/cmd/bed prepare "${parts[@]}"
make --no-print-directory build race
if [ "$level" != unit ]; then
  ./scripts/cross-tools.sh
  make --no-print-directory dist
  go run ./test/bed/cmd/bed versions
fi

# Packages share two cores and start servers of their own: two at a time.
go test -race -tags "$tags" -p 2 -timeout 20m ./...

if [ "$level" = unit ]; then
  echo "Left out: everything that needs Slurm, Apptainer, namespaces or Node. 'make test' as root on Debian runs it."
fi
