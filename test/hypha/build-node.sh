#!/bin/bash
# build-node.sh DIR: the Node clients, exactly as package-lock.json pins them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$1/"
cd "$1"
npm ci --ignore-scripts --loglevel=error
