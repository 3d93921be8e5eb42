package agent

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

func TestPythonEnds(t *testing.T) {
	for name, c := range map[string]struct {
		order  string
		code   int
		signal string
		hint   string
	}{
		"by_itself":  {order: "exit 3", code: 3},
		"by_success": {order: "exit 0", code: 0},
		"killed":     {order: "signal 9", code: -1, signal: "killed", hint: "memory"},
		"crashed":    {order: "signal 11", code: -1, signal: "segmentation fault"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, nil)
			j.event(link.EventReady)
			j.call("c", c.order)
			e := j.event(link.EventExited)
			if e.Code != c.code || e.Signal != c.signal || !strings.Contains(e.Hint, c.hint) || !slices.Contains(e.Lines, "err of r1x1") {
				t.Fatalf("got %+v", e)
			}
			if err := j.end(); !errors.Is(err, ErrEnded) || ExitCode(err) != ExitFailed {
				t.Fatalf("the job ended with %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(j.dir, "*", "bioengine-agent-*")); len(left) > 0 {
				t.Fatalf("left behind: %v", left)
			}
		})
	}
}

func TestPythonDoesNotGetReady(t *testing.T) {
	t.Run("it_says_why", func(t *testing.T) {
		j := newJob(t, map[string]any{"fail": true})
		e := j.event(link.EventFailed)
		if e.Step != "init" || !strings.Contains(e.Error, "torch") || !strings.Contains(e.Hint, "runtime_env pip") || e.Traceback == "" {
			t.Fatalf("got %+v", e)
		}
		if e := j.event(link.EventExited); e.Code != 1 {
			t.Fatalf("got %+v", e)
		}
		if err := j.end(); !errors.Is(err, ErrEnded) {
			t.Fatalf("the job ended with %v", err)
		}
	})
	t.Run("it_dies_without_a_word", func(t *testing.T) {
		j := newJob(t, map[string]any{"die": true})
		if e := j.event(link.EventFailed); e.Step != "init" || !strings.Contains(e.Error, "exit code 7") || !strings.Contains(e.Error, "about to die") {
			t.Fatalf("got %+v", e)
		}
	})
	t.Run("there_is_no_such_program", func(t *testing.T) {
		j := startJob(t, newController(t, fakeAssign(t, nil)), "/no/such/python")
		if e := j.event(link.EventFailed); e.Step != stepPython || !strings.Contains(e.Hint, "3.11") {
			t.Fatalf("got %+v", e)
		}
		if err := j.end(); !errors.Is(err, ErrEnded) {
			t.Fatalf("the job ended with %v", err)
		}
	})
	t.Run("the_image_lacks_hypha_rpc", func(t *testing.T) {
		python := filepath.Join(t.TempDir(), "python")
		script := "#!/bin/sh\nexec /usr/bin/python3 -I -S -c 'import hypha_rpc'\n" // without site-packages
		if err := os.WriteFile(python, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		j := startJob(t, newController(t, fakeAssign(t, nil)), python)
		if e := j.event(link.EventFailed); !strings.Contains(e.Error, "hypha_rpc") || !strings.Contains(e.Hint, "install hypha-rpc") {
			t.Fatalf("got %+v", e)
		}
	})
	t.Run("the_controller_hears_of_it_after_a_loss", func(t *testing.T) {
		j := newJob(t, nil)
		j.event(link.EventReady)
		<-j.hellos
		j.call("c", "doom 5")
		j.answer("c")
		j.stop()
		time.Sleep(time.Second)
		j.start()
		hello := receive(t, j.hellos, "a new greeting")
		live := hello.Replicas[0]
		if live.End == nil { // the agent was still sending its lines
			e := j.event(link.EventExited)
			live.End = &e
		}
		if live.End.Code != 5 || !slices.Contains(live.End.Lines, "err of r1x1") {
			t.Fatalf("the controller learnt %+v", live.End)
		}
	})
}

func TestHealth(t *testing.T) {
	for name, want := range map[string]string{"sick": "ValueError: sick", "silent": "TimeoutError"} {
		t.Run(name, func(t *testing.T) {
			assign := fakeAssign(t, map[string]any{"health": name})
			assign.Options.HealthPeriod, assign.Options.HealthTimeout = 0.1, 0.1
			j := startJob(t, newController(t, assign), fakePython(t))
			for i := range 3 {
				if e := j.event(link.EventHealth); e.Failures != i+1 || !strings.HasPrefix(e.Error, want) {
					t.Fatalf("check %d: %+v", i+1, e)
				}
			}
		})
	}
	t.Run("hung", func(t *testing.T) {
		assign := fakeAssign(t, nil)
		assign.Options.HealthPeriod, assign.Options.HealthTimeout = 0.1, 0.3
		j := startJob(t, newController(t, assign), fakePython(t))
		j.event(link.EventReady)
		j.call("c", "freeze")
		if e := j.event(link.EventHealth); e.Failures == 0 {
			t.Fatalf("got %+v", e)
		}
		j.tell(link.Control{Type: link.ControlStop}) // SIGTERM ends it
		if e := j.event(link.EventExited); e.Signal != "terminated" {
			t.Fatalf("got %+v", e)
		}
	})
}

func TestDrain(t *testing.T) {
	t.Run("python_tells_when_no_call_is_open", func(t *testing.T) {
		j := newJob(t, nil)
		j.event(link.EventReady)
		j.call("held", "hold")
		j.call("c", "echo x")
		j.answer("c")
		j.tell(link.Control{Type: link.ControlDrain, Replica: tag, Timeout: 30})
		j.call("d", "settle done")
		if got := j.answer("held"); got != "done" {
			t.Fatalf("got %q", got)
		}
		j.event(link.EventDrained)
	})
	t.Run("term_lets_open_calls_end", func(t *testing.T) {
		j := newJob(t, nil)
		j.event(link.EventReady)
		j.call("late", "later 1")
		j.call("held", "hold")
		j.call("c", "echo x")
		j.answer("c")
		j.term()
		for receive(t, j.events, "draining").Type != link.ControlDraining {
		}
		if got := j.answer("late"); got != "late" {
			t.Fatalf("got %q", got)
		}
		j.call("d", "settle done")
		j.answer("held")
		if e := j.event(link.EventExited); e.Code != 0 {
			t.Fatalf("got %+v", e)
		}
		if err := j.end(); err != nil {
			t.Fatalf("the job ended with %v", err)
		}
	})
	t.Run("term_waits_no_longer_than_the_grace", func(t *testing.T) {
		assign := fakeAssign(t, nil)
		assign.Options.GracefulTimeout = 0.5
		j := startJob(t, newController(t, assign), fakePython(t))
		j.event(link.EventReady)
		j.call("held", "hold")
		j.call("c", "echo x")
		j.answer("c")
		start := time.Now()
		j.term()
		if err := j.end(); err != nil || time.Since(start) > 5*time.Second {
			t.Fatalf("the job ended with %v after %v", err, time.Since(start))
		}
	})
	t.Run("python_that_ignores_everything_is_killed", func(t *testing.T) {
		j := newJob(t, map[string]any{"deaf": true})
		j.event(link.EventReady)
		j.tell(link.Control{Type: link.ControlStop})
		if e := j.event(link.EventExited); e.Signal != "killed" {
			t.Fatalf("got %+v", e)
		}
	})
}

func TestPythonThatBreaksTheProtocolIsEnded(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	j.call("c", "garbage")
	e := j.event(link.EventExited)
	if e.Signal != "killed" || !strings.Contains(strings.Join(e.Lines, "\n"), "broke the socket's protocol") {
		t.Fatalf("got %+v", e)
	}
}

func TestRefusedAgentEnds(t *testing.T) {
	c := newController(t, fakeAssign(t, nil))
	c.refuse = &link.Refusal{Code: link.CodeSuperseded, Message: "given up"}
	j := startJob(t, c, fakePython(t))
	var refusal *link.Refusal
	if err := j.end(); !errors.As(err, &refusal) || refusal.Code != link.CodeSuperseded || ExitCode(err) != ExitRefused {
		t.Fatalf("the job ended with %v", err)
	}
}

func TestFencedAgentEndsWithItsReplica(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	j.mu.Lock()
	j.refuse = &link.Refusal{Code: link.CodeSuperseded, Message: "given up"}
	j.mu.Unlock()
	j.link().Close("fenced")
	if err := j.end(); ExitCode(err) != ExitRefused {
		t.Fatalf("the job ended with %v", err)
	}
}

func TestAgentWithoutTokenDoesNotStart(t *testing.T) {
	c := newController(t, fakeAssign(t, nil))
	os.Remove(filepath.Join(c.dir, "allocation", "token"))
	j := startJob(t, c, fakePython(t))
	if err := j.end(); err == nil || !strings.Contains(err.Error(), "token") {
		t.Fatalf("the job ended with %v", err)
	}
}
