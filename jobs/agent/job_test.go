package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// job is an agent that runs in this process.
type job struct {
	*controller
	ended chan error
	term  context.CancelFunc // SIGTERM
}

// newJob starts an agent whose Python is the fake runtime.
func newJob(t testing.TB, mode map[string]any) *job {
	t.Helper()
	return startJob(t, newController(t, fakeAssign(t, mode)), fakePython(t))
}

func fakeAssign(t testing.TB, mode map[string]any) link.Assign {
	t.Helper()
	config, err := json.Marshal(mode)
	if err != nil {
		t.Fatal(err)
	}
	return link.Assign{
		Replica: "uuid", Tag: tag, Application: "app", Deployment: "D", File: "d.py", Class: "D",
		Secrets: map[string]string{"SECRET": "hush"}, WorkDir: filepath.Join(t.TempDir(), "home"),
		Options: link.RuntimeOptions{HealthPeriod: 60, HealthTimeout: 1, GracefulTimeout: 5, UserConfig: config},
	}
}

func startJob(t testing.TB, c *controller, python string) *job {
	t.Helper()
	ctx, term := context.WithCancel(context.Background())
	j := &job{controller: c, ended: make(chan error, 1), term: term}
	config := Config{
		AllocationDir: filepath.Join(c.dir, "allocation"), EndpointDir: filepath.Join(c.dir, "endpoint"),
		Python: python, WorkDir: t.TempDir(), Version: "test", Log: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.ended <- Run(ctx, config)
	}()
	t.Cleanup(func() {
		if conn := c.link(); conn != nil {
			_ = conn.Control(context.Background(), link.Control{Type: link.ControlStop}) // sooner than draining
		}
		term()
		<-done
	})
	return j
}

func (j *job) end() error {
	j.t.Helper()
	return receive(j.t, j.ended, "the job's end")
}

// fakePython is a program that takes the arguments of Python and runs the fake runtime.
func fakePython(t testing.TB) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "-c", "import sys; print(sys.executable)").Output(); err == nil {
		python = string(out[:len(out)-1]) // past version managers' wrappers, which need variables
	}
	script, err := filepath.Abs("testdata/fake_runtime.py")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "python")
	text := fmt.Sprintf("#!/bin/sh\nexec %s -B %s\n", python, script)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
