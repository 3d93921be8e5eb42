//go:build systems

package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSecretsStayHidden deploys with a secret and looks for its value, the
// worker's token and every join token wherever others could find them: Slurm's
// spool, job records, environments and command lines of all processes, the
// state directory, logs and job files. The store's column for secrets, and
// the token file of mode 0600 that the administrator wrote, are apart.
func TestSecretsStayHidden(t *testing.T) {
	ctx := within(t, 4*time.Minute)
	const secret = "tell-nobody-4711-about-this"
	cli(t, ctx, "app", "save", "examples/hello")
	tokens := watchTokens(t)
	run(t, ctx, "hello", "discreet", "--env", "Hello:_API_KEY="+secret)
	var who map[string]any
	if err := call(ctx, "discreet", "whoami", nil, &who); err != nil || who["secret_sha256"] == nil {
		t.Fatalf("the replica does not know its secret: %v, %v", who, err)
	}
	hidden := map[string][]byte{"the secret": []byte(secret), "the worker's token": []byte(shared.Token)}
	joins := tokens()
	if len(joins) == 0 {
		t.Fatal("no join token was seen: this test would prove nothing")
	}
	for i, token := range joins {
		hidden[fmt.Sprintf("join token %d", i)] = token
	}

	t.Run("in processes", func(t *testing.T) { searchProcesses(t, hidden) })
	t.Run("in job records", func(t *testing.T) {
		jobs, err := shared.Cluster.Output(ctx, "login", "root", "scontrol", "show", "job", "-o", "--details")
		if err != nil {
			t.Fatal(err)
		}
		search(t, "scontrol show job", []byte(jobs), hidden)
		for _, j := range jobsOf(t, ctx, "discreet") {
			script, err := shared.Cluster.Output(ctx, "login", "root", "scontrol", "write", "batch_script", j.ID, "-")
			if err != nil {
				t.Fatal(err)
			}
			search(t, "batch script of "+j.ID, []byte(script), hidden)
		}
	})
	t.Run("in files", func(t *testing.T) {
		for _, host := range append([]string{"login"}, shared.Cluster.Nodes()...) {
			root, err := shared.Cluster.HostRoot(host)
			if err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{"var/spool", "var/log", "tmp", "run"} {
				searchTree(t, filepath.Join(root, dir), hidden)
			}
		}
		searchTree(t, shared.Dir, hidden)
	})
	t.Run("in the status", func(t *testing.T) {
		search(t, "status", []byte(fmt.Sprint(status(t, ctx, "discreet"))), hidden)
	})
}

// watchTokens collects the join tokens that appear in the state directory
// until the returned function is called.
func watchTokens(t *testing.T) func() [][]byte {
	stop := make(chan struct{})
	found := make(chan [][]byte)
	go func() {
		seen := map[string]bool{}
		for {
			names, _ := filepath.Glob(filepath.Join(shared.Dir, ".bioengine/hpc/allocations/*/token"))
			for _, name := range names {
				if b, err := os.ReadFile(name); err == nil && len(b) > 0 {
					seen[string(b)] = true
				}
			}
			select {
			case <-stop:
				var all [][]byte
				for s := range seen {
					all = append(all, []byte(s))
				}
				found <- all
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() [][]byte { close(stop); return <-found }
}

func search(t *testing.T, where string, b []byte, hidden map[string][]byte) {
	t.Helper()
	for what, value := range hidden {
		if bytes.Contains(b, value) {
			t.Errorf("%s is in %s", what, where)
		}
	}
}

// searchProcesses reads every process of this machine, the cluster's hosts
// among them, except the test's own clients.
func searchProcesses(t *testing.T, hidden map[string][]byte) {
	for _, name := range []string{"environ", "cmdline"} {
		paths, _ := filepath.Glob("/proc/[0-9]*/" + name)
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil || strings.HasPrefix(path, fmt.Sprintf("/proc/%d/", os.Getpid())) {
				continue
			}
			search(t, path, b, hidden)
		}
	}
}

func searchTree(t *testing.T, dir string, hidden map[string][]byte) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // sockets, and files that went meanwhile
		}
		info, err := d.Info()
		if err != nil || info.Size() > 64<<20 {
			return nil
		}
		if path == filepath.Join(shared.Dir, "token") || filepath.Base(path) == "state.sqlite" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil {
			files++
			search(t, path, b, hidden)
		}
		return nil
	})
	if err != nil || (files == 0 && dir == shared.Dir) {
		t.Errorf("%s: %d files, %v", dir, files, err)
	}
}
