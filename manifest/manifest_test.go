package manifest

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain lets the test binary play the child, as the real program does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ChildCommand {
		// Not os.Exit, which under the race detector waits a second.
		syscall.Exit(RunChild(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// readFolder loads an application's files.
func readFolder(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRead_matches_the_golden_files(t *testing.T) {
	folders, err := filepath.Glob("testdata/apps/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no applications: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			app, err := Reader{}.Read(t.Context(), readFolder(t, folder), Rules{RequireAuthorizedUsers: true})
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(app, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata/golden", filepath.Base(folder)+".json"), append(got, '\n'))
		})
	}
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("differs from %s (run with -update and look at the difference):\n%s", path, got)
	}
}

// wantProblem checks that an error is the author's, with text and place.
func wantProblem(t *testing.T, err error, message, place string) *Error {
	t.Helper()
	var problem *Error
	if !errors.As(err, &problem) {
		t.Fatalf("got %v, want an *Error with %q", err, message)
	}
	if !strings.Contains(problem.Message, message) || problem.Place.String() != place {
		t.Errorf("got %q at %q\nwant %q at %q", problem.Message, problem.Place, message, place)
	}
	if strings.ContainsAny(err.Error(), "\n\r\x00") {
		t.Errorf("the text has more than one line: %q", err.Error())
	}
	return problem
}
