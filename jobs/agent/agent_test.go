package agent

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
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
		j.call("c", "echo x") // so the call before it has arrived, which control messages could overtake
		j.answer("c")
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
