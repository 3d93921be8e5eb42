//go:build systems

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const goodManifest = `id: bad
name: Bad
id_emoji: "x"
description: Something is wrong with it.
type: ray-serve
authorized_users: ["*"]
deployments: ["main:Main"]
`

const goodSource = `from hypha_rpc.utils.schema import schema_method
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 1, "memory": 300 * 1024**2})
class Main:
    @schema_method
    async def ping(self) -> str:
        """Answer."""
        return "pong"
`

// TestBadInput gives each kind of bad application to the controller, past the
// command line's own check, and holds that the one who caused it gets a clear
// error with its place, and that nothing is left behind.
func TestBadInput(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	client, err := client()
	if err != nil {
		t.Fatal(err)
	}
	worker, err := client.GetService(ctx, shared.WorkerID, hypha.GetServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	save := func(manifest, source string) error {
		_, err := worker.Call(ctx, "save_application", hypha.Kwargs{"files": []any{
			map[string]any{"name": "manifest.yaml", "content": manifest, "type": "text"},
			map[string]any{"name": "main.py", "content": source, "type": "text"},
		}})
		return err
	}
	tried := func(manifest, source string) error {
		if err := save(manifest, source); err != nil {
			return err
		}
		_, err := worker.Call(ctx, "run_application", hypha.Kwargs{"artifact_id": "bad", "application_id": "bad"})
		return err
	}
	for _, c := range []struct {
		name, manifest, source string
		want                   []string
	}{
		{"broken YAML", "id: [", goodSource, []string{"Invalid YAML in manifest file", "manifest.yaml:1"}},
		{"a missing field", strings.Replace(goodManifest, "description: Something is wrong with it.\n", "", 1), goodSource, []string{"Manifest is missing required field: 'description'"}},
		{"a wrong type", strings.Replace(goodManifest, "ray-serve", "ray-swerve", 1), goodSource, []string{"Application type must be 'ray-serve'"}},
		{"a missing file", strings.Replace(goodManifest, "main:Main", "other:Main", 1), goodSource, []string{"other"}},
		{"a missing class", strings.Replace(goodManifest, "main:Main", "main:Other", 1), goodSource, []string{"Other not found in"}},
		{"a path that climbs out", strings.Replace(goodManifest, "main:Main", "../main:Main", 1), goodSource, []string{"Invalid import path format", "manifest.yaml:7"}},
		{"a negative resource", goodManifest, strings.Replace(goodSource, `"num_cpus": 1`, `"num_cpus": -1`, 1), []string{"num_cpus", "main.py:4"}},
		{"text for a number", goodManifest, strings.Replace(goodSource, `"num_cpus": 1`, `"num_cpus": "many"`, 1), []string{"num_cpus", "main.py:4"}},
		{"a syntax error", goodManifest, goodSource + "\ndef broken(:\n", []string{"main.py:1"}},
		{"brackets that never close", goodManifest, goodSource + "x = " + strings.Repeat("(", 500_000), []string{"main.py"}},
		{"nesting without end", goodManifest, goodSource + "x = " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), []string{"main.py"}},
		{"a line of a megabyte", goodManifest, goodSource + "x = '" + strings.Repeat("a", 1<<20) + "'\n", []string{"main.py"}},
		{"no schema method", goodManifest, strings.Replace(goodSource, "    @schema_method\n", "", 1), []string{"No schema methods found in the entry deployment class: Main."}},
		{"an unknown partition", goodManifest + "slurm: {partition: nowhere}\n", goodSource, []string{"nowhere"}},
		{"more than any node has", goodManifest + "slurm: {cpus: 5000}\n", goodSource, []string{"5000 CPUs"}},
		{"an image of its own", goodManifest + "slurm: {image: /scratch/img/none.sif}\n", goodSource, []string{"none.sif", "not allowed"}},
		{"an unknown key of the slurm block", goodManifest + "slurm: {partitoin: cpu}\n", goodSource, []string{"partitoin"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := tried(c.manifest, c.source)
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %.500s", want, err)
				}
			}
			nothingLeft(t, ctx, "bad")
		})
	}

	t.Run("a resource that is known only at run time is a warning, not an error", func(t *testing.T) {
		stopAfter(t, "bad")
		source := strings.Replace(goodSource, `"num_cpus": 1`, `"num_cpus": int(__import__("os").environ.get("N", "1"))`, 1)
		if err := tried(goodManifest, source); err != nil {
			t.Error(err)
		}
	})
	t.Run("arguments that do not fit the constructor", func(t *testing.T) {
		if err := save(goodManifest, goodSource); err != nil {
			t.Fatal(err)
		}
		_, err := worker.Call(ctx, "run_application", hypha.Kwargs{"artifact_id": "bad", "application_id": "bad2",
			"application_kwargs": map[string]any{"Main": map[string]any{"colour": "red"}}})
		if err == nil || !strings.Contains(err.Error(), "colour") {
			t.Errorf("%v", err)
		}
		nothingLeft(t, ctx, "bad2")
	})
	t.Run("an artifact that does not exist", func(t *testing.T) {
		_, err := worker.Call(ctx, "run_application", hypha.Kwargs{"artifact_id": "no-such-artifact"})
		if err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("%v", err)
		}
	})
}

// TestImageMissing holds that a missing image is refused before any job
// exists.
func TestImageMissing(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	cli(t, ctx, "app", "save", "examples/hello")
	if err := shared.Configure(map[string]any{"jobs": map[string]any{"image": "/scratch/img/gone.sif"}}); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		if err := shared.Signal(15); err != nil {
			t.Fatal(err)
		}
		if err := shared.StartController(ctx); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	_, err := shared.CLI(ctx, shared.Token, "app", "run", "hello", "--id", "imageless")
	if err == nil || !strings.Contains(err.Error(), "gone.sif") {
		t.Errorf("%v", err)
	}
	nothingLeft(t, ctx, "imageless")
	if err := shared.Configure(nil); err != nil {
		t.Fatal(err)
	}
	restart()
}

// TestUnauthorised holds who may do what.
func TestUnauthorised(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	stranger, err := shared.Hypha.Token("mallory")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"app", "run", "ws-user-alice/hello"}, {"app", "save", "examples/hello"}, {"app", "stop", "anything"}} {
		_, err := shared.CLI(ctx, stranger, args...)
		if err == nil || !strings.Contains(err.Error(), "not authorized") && !strings.Contains(err.Error(), "not currently deployed") {
			t.Errorf("%v: %v", args, err)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"manifest.yaml": strings.Replace(strings.Replace(goodManifest, `["*"]`, `["somebody@example.org"]`, 1), "id: bad", "id: closed", 1), "main.py": goodSource} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cli(t, ctx, "app", "save", dir)
	run(t, ctx, "closed", "closed")
	_, err = shared.Python(ctx, stranger, "test/clients/call.py", shared.Workspace+"/closed", "ping", "{}")
	if err == nil || !strings.Contains(err.Error(), "PermissionError") {
		t.Errorf("a stranger's call: %v", err)
	}
}

// TestLinkIsClosedToStrangers dials the controller's link as an intruder on
// the cluster would.
func TestLinkIsClosedToStrangers(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	cli(t, ctx, "app", "save", "examples/hello")
	run(t, ctx, "hello", "guarded")
	endpoint, err := link.ReadEndpoint(filepath.Join(shared.Dir, ".bioengine/hpc/endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range endpoint.Addresses {
		endpoint.Addresses[i] = strings.Replace(a, "login", shared.Cluster.LoginIP(), 1)
	}
	dirs, err := filepath.Glob(filepath.Join(shared.Dir, ".bioengine/hpc/allocations/*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no allocation: %v", err)
	}
	allocation := filepath.Base(dirs[0])
	for name, id := range map[string]link.Identity{
		"an unknown allocation":   {Allocation: "00000000-0000-0000-0000-000000000000", Token: "x", Key: "k"},
		"a wrong token":           {Allocation: allocation, Token: "wrong", Key: "k"},
		"no token and wrong key":  {Allocation: allocation, Key: "k"},
		"neither token nor key":   {Allocation: allocation},
		"nothing that looks sane": {Allocation: "../../etc/passwd", Token: strings.Repeat("A", 4000), Key: "k"},
	} {
		conn, err := link.Dial(ctx, link.DialConfig{Endpoint: endpoint, Identity: id})
		var refusal *link.Refusal
		if err == nil {
			conn.Close("test")
			t.Errorf("%s was let in", name)
		} else if !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := link.Dial(ctx, link.DialConfig{Endpoint: link.Endpoint{Addresses: endpoint.Addresses, Fingerprint: strings.Repeat("00", 32)}}); err == nil {
		t.Error("a controller with another key was trusted")
	}
	// A plain HTTP client learns nothing.
	plain := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if r, err := plain.Get("https://" + endpoint.Addresses[0] + "/"); err == nil {
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			t.Error("the link answers HTTP")
		}
	}
	var answer string
	if err := call(ctx, "guarded", "greet", map[string]any{"name": "you"}, &answer); err != nil {
		t.Errorf("the replica suffered: %v", err)
	}
}

// nothingLeft holds that a refused application left no job, no record and no
// allocation.
func nothingLeft(t *testing.T, ctx context.Context, id string) {
	t.Helper()
	if s := status(t, ctx, id)["status"]; s != "NOT_RUNNING" {
		t.Errorf("%s is %v", id, s)
	}
	if jobs := jobsOf(t, ctx, id); len(jobs) > 0 {
		t.Errorf("jobs exist: %+v", jobs)
	}
}
