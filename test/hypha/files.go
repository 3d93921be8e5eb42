// Package hypha holds what the real Hypha server of the tests is built from: the locked Python and Node packages and the
// scripts that install them. Package bed runs them.
package hypha

import "embed"

// Venv is everything that decides what the virtual environment of the server and the Python clients contains.
//
//go:embed build-venv.sh requirements.lock
var Venv embed.FS

// Node is everything that decides what the Node clients' folder contains.
//
//go:embed build-node.sh package.json package-lock.json .npmrc
var Node embed.FS
