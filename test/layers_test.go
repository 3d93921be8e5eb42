package test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bioengine-hpc/bioengine-hpc/"

// rooms is the import table of the design, section 2: which of our packages a
// room may import. A folder inside a room may use the room; "*" is every room.
var rooms = map[string][]string{
	"cmd/bioengine-hpc":   {"*"},
	"cmd/bioengine-agent": {"jobs/agent", "apptainer"},
	"worker":              {"worker/relay", "jobs", "jobs/store", "jobs/link", "hypha", "manifest"},
	"worker/relay":        {"hypha", "jobs/link"},
	"jobs":                {"manifest", "apptainer", "scheduler", "jobs/store", "jobs/link"},
	"jobs/agent":          {"jobs/link", "jobs/agent/runtime"},
	"jobs/agent/runtime":  {},
	"jobs/link":           {},
	"jobs/store":          {},
	"hypha":               {},
	"manifest":            {"manifest/python"},
	"manifest/python":     {},
	"apptainer":           {},
	"scheduler":           {},
	"scheduler/local":     {"scheduler"},
	"scheduler/sbatch":    {"scheduler"},
	"scheduler/schedtest": {"scheduler"},
}

// TestImports holds the import table for what the programs are made of; tests
// may import what they need.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "test") || strings.HasPrefix(name, "examples") {
			continue
		}
		seen[name] = true
		allowed, ok := rooms[name]
		if !ok {
			t.Errorf("%s is in no room of the table", name)
			continue
		}
		for _, i := range p.Imports {
			ours, is := strings.CutPrefix(i, module)
			if is && !slices.Contains(allowed, ours) && !slices.Contains(allowed, "*") {
				t.Errorf("%s must not import %s", name, ours)
			}
		}
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("the table names %s, which does not exist", name)
		}
	}
}

// TestCardLibrariesAreUsed holds the promise that these libraries are direct
// requirements, imported by code and not only by tests.
func TestCardLibrariesAreUsed(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{range .Imports}}{{.}}\n{{end}}", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := strings.Fields(string(out))
	direct, err := exec.Command("go", "list", "-m", "-f", "{{if not .Indirect}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatalf("go list -m: %v", err)
	}
	modules := strings.Fields(string(direct))
	for _, lib := range []string{"github.com/gorilla/websocket", "gopkg.in/yaml.v3", "go.uber.org/zap"} {
		if !slices.Contains(imports, lib) {
			t.Errorf("%s is imported by no code", lib)
		}
		if !slices.Contains(modules, lib) {
			t.Errorf("%s is not a direct requirement of go.mod", lib)
		}
	}
}
