package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// front is an application of two deployments, as an author writes it.
const front = `
import logging, os
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray.serve.handle import DeploymentHandle
from ray import serve

logger = logging.getLogger("ray.serve")

@serve.deployment(max_ongoing_requests=20)
class Front:
    def __init__(self, back: DeploymentHandle):
        self.back = back

    async def async_init(self):
        logger.info("front is up in %s", os.environ["WHERE"])

    @schema_method
    async def echo(self, value: object = Field(..., description="anything")) -> object:
        "Give it back."
        return value

    @schema_method
    async def secret(self) -> str:
        "Not for others."
        return os.environ["SECRET"]

    @schema_method
    async def double(self, size: int = Field(..., description="how many")) -> int:
        "Ask the other deployment."
        import numpy as np
        return int((await self.back.double.remote(np.ones(size))).sum())

    @schema_method
    async def broken(self) -> None:
        "Ask the other deployment for trouble."
        await self.back.broken.remote()

    @schema_method
    async def wait(self, seconds: float = Field(..., description="s")) -> str:
        "Take time."
        import asyncio
        await asyncio.sleep(seconds)
        return "waited"
`

const back = `
from ray import serve

@serve.deployment
class Back:
    async def double(self, array):
        return array * 2

    async def broken(self):
        raise ValueError("no luck")
`

const hyphaService = `{"client_id":"app-client","workspace":"ws-test","manager_id":"manager-1","public_base_url":"http://hypha",
"service":{"id":"hello-app","name":"Hello","type":"bioengine-apps","description":"Says hello","config":{"visibility":"public","require_context":true}}}`

func realAssign(t testing.TB, tag, file, class string) link.Assign {
	a := link.Assign{
		Replica: "uuid-" + tag, Tag: tag, Application: "hello", Deployment: class, File: file, Class: class,
		Files:   map[string][]byte{"front.py": []byte(front), "back.py": []byte(back)},
		Env:     map[string]string{"WHERE": "a test"},
		Secrets: map[string]string{"SECRET": "hush"},
		WorkDir: filepath.Join(t.TempDir(), "home"),
		Options: link.RuntimeOptions{HealthPeriod: 0.5, HealthTimeout: 5, GracefulTimeout: 5, MaxOngoing: 20},
	}
	if class == "Front" {
		a.Entry, a.Hypha = true, json.RawMessage(hyphaService)
		a.Handles = []link.HandleRef{{Parameter: "back", Deployment: "Back"}}
	}
	return a
}

// invoke sends a Hypha method call as the relay would, and returns its session.
func invoke(t testing.TB, c *controller, session, method string, args ...any) {
	t.Helper()
	caller := "ws-other/caller"
	head, err := msgpack.Marshal(map[string]any{
		"type": "method", "from": caller, "to": "ws-test/app-client", "method": "services.hello-app." + method,
		"session": session, "ws": "ws-other", "user": map[string]any{"id": "user-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := msgpack.Marshal(map[string]any{"args": args, "promise": "*", "t": 10})
	if err != nil {
		t.Fatal(err)
	}
	m := &link.Message{Replica: tag, Call: caller + "\x00" + session, Opens: true, Head: head, Data: data}
	if err := c.link().Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// settled waits for the message that ends a call, and returns its member (resolve, reject) and value.
func settled(t testing.TB, c *controller, session string) (string, any) {
	t.Helper()
	for {
		select {
		case m := <-c.messages:
			if !m.Ends {
				continue // a heartbeat
			}
			d := msgpack.NewDecoder(bytes.NewReader(m.Data))
			var main, extra map[string]any
			if err := errors.Join(d.Decode(&main), d.Decode(&extra)); err != nil {
				t.Fatal(err)
			}
			member, ours := strings.CutPrefix(main["method"].(string), session+".")
			if !ours || !strings.HasSuffix(m.Call, "\x00"+session) {
				t.Fatalf("got %v of call %q", main["method"], m.Call)
			}
			return member, extra["args"].([]any)[0]
		case <-time.After(patience):
			t.Fatal("the call did not end")
		}
	}
}

// splice does with a call what jobs does: it carries it to the other deployment's agent.
func splice(to *controller) func(link.Header, *link.Stream) {
	return func(h link.Header, from *link.Stream) {
		out, err := to.link().Open(context.Background(), link.Header{Kind: link.KindHandle, Replica: to.assign.Tag, Deployment: h.Deployment, Method: h.Method})
		if err != nil {
			_ = link.RefuseHandle(from, "ReplicaLost: "+err.Error())
			return
		}
		var both sync.WaitGroup
		both.Go(func() {
			_, _ = io.Copy(out, from)
			out.Close()
		})
		_, _ = io.Copy(from, out)
		from.Close()
		both.Wait()
	}
}

// TestRealRuntime runs an application of two deployments on the real runtime and the real hypha-rpc.
func TestRealRuntime(t *testing.T) {
	python, err := bed.Python(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := newController(t, realAssign(t, "r1x2", "back", "Back"))
	f := newController(t, realAssign(t, tag, "front", "Front"))
	f.handle = splice(b)
	behind, j := startJob(t, b, python), startJob(t, f, python)
	behind.event(link.EventReady)

	t.Run("becomes_ready_in_steps", func(t *testing.T) {
		e := j.event(link.EventReady)
		for _, step := range []string{stepPython, "import", "init", "async_init", "check_health"} {
			if e.Steps[step] <= 0 {
				t.Errorf("step %s took %v s", step, e.Steps[step])
			}
		}
		if !slices.Equal(e.Ready.Methods, []string{"broken", "double", "echo", "secret", "wait"}) || e.Ready.HyphaRPC == "" || e.Ready.Python == "" {
			t.Errorf("ready: %v %s %s", e.Ready.Methods, e.Ready.HyphaRPC, e.Ready.Python)
		}
		t.Logf("steps: %v", e.Steps)
	})
	t.Run("answers_calls", func(t *testing.T) {
		for i, value := range []any{"text", int8(7), nil, []byte("bytes"), bytes.Repeat([]byte("x"), 200<<10)} {
			session := fmt.Sprint("s", i)
			invoke(t, f, session, "echo", value)
			if member, got := settled(t, f, session); member != "resolve" || fmt.Sprint(got) != fmt.Sprint(value) {
				t.Errorf("%s %.50v", member, got)
			}
		}
		invoke(t, f, "secret", "secret")
		if member, got := settled(t, f, "secret"); member != "resolve" || got != "hush" {
			t.Errorf("%s %v", member, got)
		}
	})
	t.Run("carries_large_values", func(t *testing.T) {
		invoke(t, f, "large", "echo", make([]byte, 5<<20))
		if size := receive(t, f.large, "the answer"); size < 5<<20 {
			t.Errorf("%d bytes came back", size)
		}
	})
	t.Run("calls_the_other_deployment", func(t *testing.T) {
		for i, size := range []int{3, 1 << 20} { // the second is 8 MiB each way
			session := fmt.Sprint("h", i)
			invoke(t, f, session, "double", size)
			if member, got := settled(t, f, session); member != "resolve" || fmt.Sprint(got) != fmt.Sprint(2*size) {
				t.Errorf("%s %v", member, got)
			}
		}
		invoke(t, f, "broken", "broken")
		if member, got := settled(t, f, "broken"); member != "reject" || !strings.Contains(fmt.Sprint(got), "no luck") {
			t.Errorf("%s %v", member, got)
		}
	})
	t.Run("logger_lines_come", func(t *testing.T) {
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			f.mu.Lock()
			found := slices.ContainsFunc(f.lines, func(r link.LogRecord) bool {
				return r.Stream == link.Stderr && strings.HasSuffix(r.Text, "front is up in a test")
			})
			f.mu.Unlock()
			if found {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("lines: %v", f.lines)
			}
		}
	})
	t.Run("answers_after_the_controller_was_away", func(t *testing.T) {
		invoke(t, f, "across", "wait", 2.0)
		f.stop()
		time.Sleep(time.Second)
		f.start()
		if member, got := settled(t, f, "across"); member != "resolve" || got != "waited" {
			t.Errorf("%s %v", member, got)
		}
	})
	t.Run("other_deployment_that_ends_fails_its_calls", func(t *testing.T) {
		behind.tell(link.Control{Type: link.ControlStop})
		if err := behind.end(); err != nil {
			t.Fatal(err)
		}
		invoke(t, f, "lost", "double", 3)
		if member, got := settled(t, f, "lost"); member != "reject" || !strings.Contains(fmt.Sprint(got), "ReplicaLost") {
			t.Errorf("%s %v", member, got)
		}
	})
	t.Run("term_drains_and_stops", func(t *testing.T) {
		invoke(t, f, "last", "wait", 1.0)
		invoke(t, f, "before", "echo", 1)
		settled(t, f, "before")
		j.term()
		if member, got := settled(t, f, "last"); member != "resolve" || got != "waited" {
			t.Errorf("%s %v", member, got)
		}
		if err := j.end(); err != nil {
			t.Errorf("the job ended with %v", err)
		}
	})
}
