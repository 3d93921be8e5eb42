//go:build systems

package docs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
	"github.com/bioengine-hpc/bioengine-hpc/test/site"
)

// Who reads which page.
const adminPage = "docs/admin.md"

var (
	researchers = []string{
		"docs/user.md", "docs/cli.md", "docs/configuration.md", "docs/security.md", "CHANGELOG.md",
		"examples/hello/README.md", "examples/composition/README.md", "examples/faulty/README.md",
	}
	developers = []string{"README.md", "docs/developer.md"}
)

// top is the checkout, absolute.
var top = sync.OnceValues(func() (string, error) { return filepath.Abs(root) })

func atTop(t *testing.T, elements ...string) string {
	t.Helper()
	dir, err := top()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{dir}, elements...)...)
}

// newSite starts a Hypha server and a cluster, which end with the test.
func newSite(t *testing.T) *site.Site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := site.Start(ctx, site.Options{Slurm: true, Bin: atTop(t, "bin/race")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestAdminPage follows docs/admin.md on the login host of a cluster, from an archive to a first application.
func TestAdminPage(t *testing.T) {
	s := newSite(t)
	const release = "bioengine-hpc-v0.0.0-linux-test"
	pack(t, s, release)
	environment := []string{
		"RELEASE=" + release, "IMAGE=" + s.Cluster.Image(), "HYPHA_SERVER_URL=" + s.Hypha.URL, "HYPHA_WORKSPACE=" + s.Workspace,
		"PATH=/home/alice/opt/bioengine-hpc:/usr/local/bin:/usr/bin:/bin", "GORACE=halt_on_error=1",
	}
	(&stage{
		command: func(ctx context.Context, argv ...string) *exec.Cmd {
			cmd := s.Command(ctx, argv...)
			cmd.Env = append(cmd.Env, environment...)
			return cmd
		},
		signal: bed.Signal, dir: s.Dir, inside: s.Home, stdin: s.Token + "\n",
	}).play(t, adminPage)
}

// pack puts an archive of the shape of a release into the administrator's home.
func pack(t *testing.T, s *site.Site, release string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), release)
	err := errors.Join(
		os.CopyFS(filepath.Join(folder, "examples"), os.DirFS(atTop(t, "examples"))),
		os.CopyFS(filepath.Join(folder, "docs"), os.DirFS(atTop(t, "docs"))),
		copyProgram(atTop(t, "bin/race/bioengine-hpc"), filepath.Join(folder, "bioengine-hpc")),
		copyProgram(atTop(t, "bin/race/bioengine-agent"), filepath.Join(folder, "bioengine-agent")))
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(s.Dir, release+".tar.gz")
	tar := exec.Command("tar", "-C", filepath.Dir(folder), "--owner=alice:1000", "--group=alice:1000", "-czf", archive, release)
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (run make race first)", err)
	}
	return errors.Join(err, os.WriteFile(to, data, 0o755))
}

// TestResearcherPages follows the pages for researchers, and README.md, on a machine outside of the cluster.
func TestResearcherPages(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.StartController(ctx); err != nil {
		t.Fatal(err)
	}
	for _, page := range researchers {
		t.Run(page, func(t *testing.T) {
			home := t.TempDir()
			if err := os.CopyFS(filepath.Join(home, "examples"), os.DirFS(atTop(t, "examples"))); err != nil {
				t.Fatal(err)
			}
			outside(t, s, home, "HOME="+home).play(t, page)
		})
	}
	if log, err := os.ReadFile(s.ControllerLog()); err != nil || strings.Contains(string(log), "WARNING: DATA RACE") {
		t.Errorf("the controller: %v\n%s", err, site.Tail(log, 8000))
	}
}

// TestCheckoutPages follows the pages that speak to people with a checkout, in it.
func TestCheckoutPages(t *testing.T) {
	for _, page := range developers {
		t.Run(page, func(t *testing.T) { outside(t, nil, atTop(t), "BIOENGINE_HPC_CONFIG=/dev/null").play(t, page) })
	}
	t.Cleanup(func() { // of developer.md; an error says that its cluster is down
		cmd := exec.Command("go", "run", "./test/bed/cmd/bed", "down")
		cmd.Dir, cmd.Env = atTop(t), append(os.Environ(), "BED_CLUSTER=docs")
		_ = cmd.Run()
	})
}

// TestEveryPageIsPlayed keeps new pages from being forgotten above.
func TestEveryPageIsPlayed(t *testing.T) {
	for _, page := range played(t) {
		if page != adminPage && !slices.Contains(researchers, page) && !slices.Contains(developers, page) {
			t.Errorf("nobody plays %s", page)
		}
	}
}

// outside is this machine, with the reader's variables if there is a site.
func outside(t *testing.T, s *site.Site, dir string, environment ...string) *stage {
	t.Helper()
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "HYPHA_") && !strings.HasPrefix(kv, "BIOENGINE_HPC_") && !strings.HasPrefix(kv, "BIOENGINE_WORKER=") {
			environment = append([]string{kv}, environment...)
		}
	}
	st := &stage{
		signal: func(cmd *exec.Cmd, sig syscall.Signal) error { return cmd.Process.Signal(sig) },
		dir:    dir, inside: func(path string) string { return filepath.Join(dir, path) },
	}
	if s != nil {
		node, err := bed.NodeDir(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		environment = append(environment, "HYPHA_SERVER_URL="+s.Hypha.URL, "HYPHA_TOKEN="+s.Token, "BIOENGINE_WORKER="+s.WorkerID,
			"NODE_PATH="+filepath.Join(node, "node_modules"), "PATH="+shims(t)+":"+os.Getenv("PATH"), "NO_PROXY=*", "GORACE=halt_on_error=1")
		st.log = func() string {
			log, err := os.ReadFile(s.ControllerLog())
			return fmt.Sprintf("end of the controller's log (%v):\n%s", err, site.Tail(log, 6000))
		}
	}
	st.command = func(ctx context.Context, argv ...string) *exec.Cmd {
		// The shims come first in the reader's PATH, not in ours.
		cmd := exec.CommandContext(ctx, "env", argv...)
		cmd.Dir, cmd.Env = dir, environment
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 10 * time.Second
		return cmd
	}
	return st
}

// shims is a folder with the programs that a reader has in PATH: ours, and a Python with hypha-rpc.
func shims(t *testing.T) string {
	t.Helper()
	python, err := bed.Python(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, target := range map[string]string{"bioengine-hpc": atTop(t, "bin/race/bioengine-hpc"), "python3": python} {
		script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"\n", target) // a link would hide a virtual environment from Python
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
