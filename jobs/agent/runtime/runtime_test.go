package runtime

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

func TestFS(t *testing.T) {
	t.Run("holds_every_python_file", func(t *testing.T) {
		onDisk, embedded := pythonFiles(t, os.DirFS(".")), pythonFiles(t, FS)
		if len(embedded) < 20 || !slices.Equal(onDisk, embedded) {
			t.Errorf("embedded %v\non disk  %v", embedded, onDisk)
		}
		for _, name := range []string{"bioengine_runtime/__init__.py", "bioengine_runtime/__main__.py"} {
			if !slices.Contains(embedded, name) {
				t.Errorf("%s is missing", name)
			}
		}
	})
	t.Run("holds_nothing_else", func(t *testing.T) {
		err := fs.WalkDir(FS, ".", func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && !strings.HasSuffix(path, ".py") {
				t.Errorf("%s is embedded", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestPython runs the Python tests: each starts the real runtime and plays the agent at the other end of its socket.
func TestPython(t *testing.T) {
	python, err := bed.Python(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	runPython(t, python)
}

// runPython runs each file of tests with an interpreter that has hypha-rpc, files beside one another.
func runPython(t *testing.T, python string) {
	t.Helper()
	files, err := filepath.Glob("tests/test_*.py")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Python tests: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".py")
		t.Run(strings.TrimPrefix(name, "test_"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), python, "-m", "unittest", name)
			cmd.Dir = "tests"
			cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
			out, err := cmd.CombinedOutput()
			switch {
			case err != nil:
				t.Errorf("%v\n%s", err, out)
			case !strings.Contains(string(out), "\nRan ") || strings.Contains(string(out), "\nRan 0 "):
				t.Errorf("no test ran\n%s", out)
			}
		})
	}
}

func pythonFiles(t *testing.T, files fs.FS) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(files, "bioengine_runtime", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".py") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}
