package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

func TestReplica(t *testing.T) {
	t.Setenv("HYPHA_TOKEN", "hush")
	t.Setenv("CUDA_VISIBLE_DEVICES", "1")
	j := newJob(t, nil)
	hello := <-j.hellos
	if hello.Version != link.Version || hello.Allocation != "alloc" || hello.Agent != "test" || len(hello.Replicas) != 0 {
		t.Fatalf("the agent greeted with %+v", hello)
	}

	t.Run("agent_tells_steps_with_their_times", func(t *testing.T) {
		if e := j.event(link.EventStep); e.Step != "import" || e.Steps[stepPython] <= 0 || e.Replica != tag {
			t.Fatalf("first step: %+v", e)
		}
		if e := j.event(link.EventStep); e.Step != "init" || len(e.Steps) != 2 {
			t.Fatalf("second step: %+v", e)
		}
		e := j.event(link.EventReady)
		if len(e.Steps) != 3 || e.Ready.HyphaRPC != "0" || !slices.Equal(e.Ready.Methods, []string{"echo"}) ||
			!bytes.Equal(e.Ready.Description, []byte{0x80, 1}) {
			t.Fatalf("ready: %+v %+v", e, e.Ready)
		}
	})
	t.Run("agent_relays_lines", func(t *testing.T) {
		if r := j.line("out of r1x1"); r.Stream != link.Stdout || time.Since(r.Time) > time.Minute {
			t.Fatalf("got %+v", r)
		}
		if r := j.line("err of r1x1"); r.Stream != link.Stderr {
			t.Fatalf("got %+v", r)
		}
	})
	t.Run("python_gets_its_assignment_with_secrets", func(t *testing.T) {
		j.call("c", "start")
		var got link.Assign
		if err := json.Unmarshal([]byte(j.answer("c")), &got); err != nil {
			t.Fatal(err)
		}
		if got.Tag != tag || got.Class != "D" || got.Secrets["SECRET"] != "hush" || got.Options.HealthPeriod != 60 {
			t.Fatalf("got %s", fmt.Sprint(got.Tag, got.Class, got.Options))
		}
	})
	t.Run("python_starts_with_a_scrubbed_environment", func(t *testing.T) {
		j.call("c", "environ")
		variables := strings.Split(strings.Trim(j.answer("c"), "\x00"), "\x00")
		for _, v := range variables {
			name, value, _ := strings.Cut(v, "=")
			if strings.Contains(value, "hush") || !slices.Contains(inherited, name) && !hasPrefix(name, inheritedPrefixes) &&
				!slices.Contains([]string{"HOME", "PWD", "OLDPWD", "SHLVL", "_"}, name) { // the last are the shell's own
				t.Errorf("Python was started with %s", v)
			}
		}
		if !slices.Contains(variables, "CUDA_VISIBLE_DEVICES=1") || !slices.Contains(variables, "HOME="+j.assign.WorkDir) {
			t.Errorf("Python was started with %q", variables)
		}
	})
	t.Run("token_is_gone_before_python_runs", func(t *testing.T) {
		j.call("c", "list "+filepath.Join(j.dir, "allocation"))
		if files := j.answer("c"); files != "allocation.json" {
			t.Fatalf("Python finds %q", files)
		}
	})
	t.Run("small_messages_pass_in_order", func(t *testing.T) {
		j.call("c", "burst 500 1000")
		for i := range 500 {
			if m := j.message(); binary.BigEndian.Uint32(m.Data) != uint32(i) || m.Call != "" || m.Ends {
				t.Fatalf("message %d is %d", i, binary.BigEndian.Uint32(m.Data))
			}
		}
		j.answer("c")
	})
	t.Run("cancel_and_peer_gone_reach_python", func(t *testing.T) {
		j.call("ws/c\x00s", "hold")
		j.tell(link.Control{Type: link.ControlPeerGone, Peer: "ws/c"})
		if m := j.message(); !strings.Contains(string(m.Data), `"peer": "ws/c"`) {
			t.Fatalf("Python got %s", m.Data)
		}
		j.tell(link.Control{Type: link.ControlCancel, Replica: tag, Call: "ws/c\x00s"})
		if m := j.message(); !strings.Contains(string(m.Data), `"cancel"`) {
			t.Fatalf("Python got %s", m.Data)
		}
	})
	t.Run("call_cancelled_before_it_came_does_not_run", func(t *testing.T) {
		j.tell(link.Control{Type: link.ControlCancel, Replica: tag, Call: "early"})
		j.tell(link.Control{Type: link.ControlPeerGone, Peer: "ws/d"}) // comes after it
		j.message()
		j.call("early", "echo unwanted")
		j.call("c", "echo wanted")
		if got := j.answer("c"); got != "wanted" {
			t.Fatalf("got %q", got)
		}
	})
	t.Run("stop_ends_the_job_well", func(t *testing.T) {
		j.tell(link.Control{Type: link.ControlStop})
		if e := j.event(link.EventExited); e.Code != 0 || e.Signal != "" {
			t.Fatalf("got %+v", e)
		}
		if err := j.end(); err != nil || ExitCode(err) != 0 {
			t.Fatalf("the job ended with %v", err)
		}
	})
}

func TestLargeMessages(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	const size = 100 << 20
	j.call("large", fmt.Sprint("large ", size))
	calls, worst := 0, time.Duration(0)
	for len(j.large) == 0 {
		start := time.Now()
		j.call("c", "echo small")
		j.answer("c")
		worst = max(worst, time.Since(start))
		calls++
	}
	t.Logf("%d calls during a result of 100 MB, the slowest took %v", calls, worst)
	if got := <-j.large; got != size || calls < 5 {
		t.Fatalf("%d bytes came, beside %d calls", got, calls)
	}

	data := append([]byte("echo "), make([]byte, 30<<20)...)
	j.call("c", string(data))
	if got := receive(t, j.large, "the echo"); got != 30<<20 {
		t.Fatalf("%d bytes came back", got)
	}
}

func TestAgentRedialsAfterControllerRestart(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	<-j.hellos
	j.call("answered", "echo before")
	j.answer("answered")
	j.call("held", "hold")
	j.call("late", "later 1.5")
	j.call("ready", "echo arrived") // so the two before it have arrived
	j.answer("ready")

	j.stop()
	time.Sleep(2 * time.Second) // Python answers meanwhile
	j.start()
	hello := receive(t, j.hellos, "a new greeting")
	if len(hello.Replicas) != 1 {
		t.Fatalf("the agent greeted with %+v", hello)
	}
	live := hello.Replicas[0]
	slices.Sort(live.Calls)
	if live.Tag != tag || live.State != link.StateReady || live.Ready == nil || live.End != nil || len(live.Steps) != 3 ||
		!slices.Equal(live.Calls, []string{"held", "late"}) {
		t.Fatalf("the agent lists %+v", live)
	}
	if got := j.answer("late"); got != "late" {
		t.Fatalf("the answer that waited is %q", got)
	}
	j.call("go on", "settle done")
	if got := j.answer("held"); got != "done" {
		t.Fatalf("got %q", got)
	}
}

// TestOutboxHoldsPythonBack has Python send more than the agent keeps while there is no link.
func TestOutboxHoldsPythonBack(t *testing.T) {
	const count, size = 1200, 100 << 10 // 120 MB
	j := newJob(t, map[string]any{"health": "silent"})
	j.event(link.EventReady)
	<-j.hellos
	j.call("ready", "echo x")
	j.answer("ready")
	j.call("burst", fmt.Sprintf("burst %d %d", count, size))
	j.message() // it has begun
	j.stop()
	time.Sleep(2 * time.Second)
	j.start()
	receive(t, j.hellos, "a new greeting")
	last, lost := 0, 0
	for {
		m := j.message()
		if m.Ends {
			break
		}
		i := int(binary.BigEndian.Uint32(m.Data))
		if i <= last {
			t.Fatalf("message %d came after %d", i, last)
		}
		lost += i - last - 1
		last = i
	}
	t.Logf("%d of %d messages were in flight when the link was cut", lost, count)
	if last != count-1 {
		t.Fatalf("the last message is %d", last)
	}
}

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

// TestAgentRedialsWhilePythonDoesNotRead cuts the link while a message to Python is half written.
func TestAgentRedialsWhilePythonDoesNotRead(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	<-j.hellos
	j.call("c", "sleep 5")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var err error
	for sent := 0; err == nil; sent++ {
		m := &link.Message{Replica: tag, Call: fmt.Sprint("filler", sent), Opens: true, Data: append([]byte("hold "), make([]byte, 200<<10)...)}
		err = j.link().Send(ctx, m)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the controller was not held back: %v", err)
	}
	start := time.Now()
	j.stop()
	j.start()
	receive(t, j.hellos, "a new greeting")
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the agent redialled after %v", took)
	}
	j.call("after", "echo well") // the frames are still whole
	if got := j.answer("after"); got != "well" {
		t.Fatalf("got %q", got)
	}
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

func TestLinesAreKeptWhileThereIsNoLink(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	<-j.hellos
	j.line("out of r1x1")
	j.call("c", "later 0.3")
	j.answer("c")
	j.call("c", "print 40000") // 40,000 lines weigh more than 1 MiB
	j.stop()
	time.Sleep(2 * time.Second)
	j.start()
	receive(t, j.hellos, "a new greeting")
	j.line("line 39999")
	j.mu.Lock()
	defer j.mu.Unlock()
	told := slices.ContainsFunc(j.lines, func(r link.LogRecord) bool { return strings.Contains(r.Text, "lines were dropped") })
	all := 0
	for _, r := range j.lines {
		if strings.HasPrefix(r.Text, "line ") {
			all++
		}
	}
	if !told && all < 40000 {
		t.Fatalf("%d lines came, and nothing says how many were dropped", all)
	}
	t.Logf("%d of 40000 lines came", all)
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
