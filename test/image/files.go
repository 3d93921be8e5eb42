// Package image holds what the application image of the tests is built from: a SIF with Python 3.11. Package bed runs it.
package image

import "embed"

// Files is everything that decides what the image contains, apart from the mirror look-up it shares with the cluster.
//
//go:embed build-image.sh requirements.lock
var Files embed.FS
