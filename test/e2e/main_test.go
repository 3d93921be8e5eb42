//go:build systems

// Package e2e holds what the whole product promises, on a real Hypha server,
// a real Slurm cluster and real Apptainer, with real hypha-rpc clients and
// programs built with the race detector.
package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
	"github.com/bioengine-hpc/bioengine-hpc/test/site"
)

// shared is the site of most tests: a cluster with a controller as alice.
var shared *site.Site

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := os.Chdir("../.."); err != nil { // examples/ and bin/ are named from the top
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin, err := filepath.Abs("bin/race")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared, err = site.Start(ctx, site.Options{Slurm: true, Bin: bin, Log: os.Stderr})
	if err == nil {
		err = bed.PrintVersions(ctx, os.Stdout, shared.Cluster, shared.Hypha)
	}
	if err == nil {
		err = shared.StartController(ctx)
	}
	defer func() {
		if shared != nil {
			err := shared.Signal(syscall.SIGTERM)
			log, _ := os.ReadFile(shared.ControllerLog())
			if strings.Contains(string(log), "WARNING: DATA RACE") {
				fmt.Fprintf(os.Stderr, "the controller has a data race:\n%s\n", site.Tail(log, 8000))
				code = 1
			}
			if connections, decoded, err := decodedBytes(shared.ControllerLog()); err != nil || connections == 0 || len(decoded) > 0 {
				fmt.Fprintf(os.Stderr, "argument bytes decoded by the controller: %d connections, %q, %v\n", connections, decoded, err)
				code = 1
			} else {
				fmt.Printf("argument bytes of application calls decoded by the controller over %d connections: 0\n", connections)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
			if err := shared.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, "stop:", err)
				code = 1
			}
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// within bounds a test's calls.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// cli runs the command line as the worker's own user and fails the test if it
// fails.
func cli(t *testing.T, ctx context.Context, args ...string) string {
	t.Helper()
	out, err := shared.CLI(ctx, shared.Token, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run deploys an application, waits until it runs, and stops it at the
// test's end.
func run(t *testing.T, ctx context.Context, artifact, id string, args ...string) {
	t.Helper()
	stopAfter(t, id)
	cli(t, ctx, append([]string{"app", "run", artifact, "--id", id, "--wait", "--timeout", "90s"}, args...)...)
}

// stopAfter stops an application at the test's end and sees that no job of it
// is left.
func stopAfter(t *testing.T, id string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		_, err := shared.CLI(ctx, shared.Token, "app", "stop", id, "--wait")
		if err != nil && !strings.Contains(err.Error(), "not currently deployed") {
			t.Errorf("stop: %v", err)
		}
		if left := jobsOf(t, ctx, id); len(left) > 0 {
			t.Errorf("jobs are left: %+v", left)
		}
		if t.Failed() {
			log, _ := os.ReadFile(shared.ControllerLog())
			t.Logf("end of the controller's log:\n%s", site.Tail(log, 6000))
		}
	})
}

// jobsOf are the jobs of an application that have not ended.
func jobsOf(t *testing.T, ctx context.Context, id string) []bed.Job {
	t.Helper()
	all, err := shared.Cluster.Squeue(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	var own []bed.Job
	for _, j := range all {
		if strings.HasPrefix(j.Name, "bioengine-"+id+"-") {
			own = append(own, j)
		}
	}
	return own
}

// client is a connection of the Go client as the worker's own user, shared by
// the tests that call much; the Python and JavaScript clients have tests of
// their own.
var client = sync.OnceValues(func() (*hypha.Client, error) {
	return hypha.Connect(context.Background(), hypha.Config{ServerURL: shared.Hypha.URL, Token: func(context.Context) (string, error) { return shared.Token, nil }})
})

// status is the whole status of one application.
func status(t *testing.T, ctx context.Context, id string) map[string]any {
	t.Helper()
	var s map[string]any
	eventually(t, ctx, "the worker answers", func() bool {
		s = nil
		return callService(ctx, shared.WorkerID, "get_application_status", map[string]any{"application_ids": []string{id}}, &s) == nil
	})
	return s
}

// call calls a method of an application and decodes its answer.
func call(ctx context.Context, id, method string, args map[string]any, answer any) error {
	return callService(ctx, shared.Workspace+"/"+id, method, args, answer)
}

func callService(ctx context.Context, service, method string, args map[string]any, answer any) error {
	c, err := client()
	if err != nil {
		return err
	}
	s, err := c.GetService(ctx, service, hypha.GetServiceOptions{})
	if err != nil {
		return err
	}
	v, err := s.Call(ctx, method, hypha.Kwargs(args))
	if err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, answer)
}

// eventually waits for something to hold.
func eventually(t *testing.T, ctx context.Context, what string, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within its time", what)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
