#!/usr/bin/env bash
# Installs the C compiler for arm64 when it is missing (Debian, root).
set -euo pipefail
command -v aarch64-linux-gnu-gcc >/dev/null && [ -e /usr/aarch64-linux-gnu/lib/libc.a ] && exit 0
echo "installing the arm64 cross compiler"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross >/dev/null
