package worker

import (
	"os"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

var systems bed.Shared

// TestMain also plays the child process in which deployment files are read.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == manifest.ChildCommand {
		os.Exit(manifest.RunChild(os.Stdin, os.Stdout))
	}
	os.Exit(systems.Main(m))
}
