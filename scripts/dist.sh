#!/usr/bin/env bash
# dist.sh VERSION TAGS CONTROLLER-LDFLAGS AGENT-LDFLAGS ARCH...: static programs and checksums into dist/.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1 tags=$2 controller=$3 agent=$4
shift 4
declare -A compiler=([amd64]=x86_64-linux-gnu-gcc [arm64]=aarch64-linux-gnu-gcc)
rm -rf dist
mkdir dist
for arch in "$@"; do
  out=dist/bioengine-hpc-$version-linux-$arch
  mkdir -p "$out"
  cc=${compiler[$arch]}
  [ "$arch" = "$(go env GOHOSTARCH)" ] && cc=gcc
  command -v "$cc" >/dev/null || { echo "dist needs $cc: run scripts/cross-tools.sh" >&2; exit 1; }
  CGO_ENABLED=1 GOOS=linux GOARCH=$arch CC=$cc go build -trimpath -tags "$tags" -ldflags "$controller" -o "$out/bioengine-hpc" ./cmd/bioengine-hpc
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags "$agent" -o "$out/bioengine-agent" ./cmd/bioengine-agent
  for program in "$out"/*; do
    # A program with an interpreter is not static.
    if readelf -l "$program" | grep -q INTERP; then
      echo "$program is not static" >&2
      exit 1
    fi
  done
  cp -r LICENSE README.md CHANGELOG.md docs examples "$out"
  tar -C dist --sort=name --owner=0 --group=0 --numeric-owner -czf "$out.tar.gz" "$(basename "$out")"
done
(cd dist && sha256sum -- *.tar.gz >SHA256SUMS && cat SHA256SUMS)
