//go:build full

package runtime

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// TestVersions runs the Python tests with old and new versions of hypha-rpc: the first that is promised, the first that
// frees its sessions, the first with all features, and the newest known one.
func TestVersions(t *testing.T) {
	base, err := bed.Python(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"0.20.81", "0.20.98", "0.21.29", "0.21.47"} {
		t.Run(strings.ReplaceAll(version, ".", "_"), func(t *testing.T) {
			venv := filepath.Join(t.TempDir(), "venv")
			run(t, base, "-m", "venv", venv)
			python := filepath.Join(venv, "bin", "python")
			run(t, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
				"hypha-rpc=="+version, "numpy", "pydantic", "httpx", "cloudpickle")
			runPython(t, python)
		})
	}
}

// run runs a program that must succeed.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
