package agent

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

func TestCallsToOtherDeployments(t *testing.T) {
	requests := make(chan string, 4)
	cancelled := make(chan error, 1)
	c := newController(t, fakeAssign(t, nil))
	c.handle = func(h link.Header, s *link.Stream) {
		size, err := link.ReadHandleRequest(s)
		if err != nil || h.Replica != tag || h.Deployment != "Other" || h.Method != "work" || h.Size != size {
			t.Errorf("the controller got %+v, %v", h, err)
			return
		}
		request, _ := io.ReadAll(io.LimitReader(s, size))
		requests <- string(request[:min(len(request), 20)])
		switch {
		case bytes.HasPrefix(request, []byte("refuse")):
			_ = link.RefuseHandle(s, "RuntimeError: no replica")
		case bytes.HasPrefix(request, []byte("cut")):
			_ = link.WriteHandleAnswer(s, link.HandleOK, 100) // … and closes
		case bytes.HasPrefix(request, []byte("halve")):
			_ = link.WriteHandleAnswer(s, link.HandleOK, 1<<20)
			_, _ = s.Write(make([]byte, 1<<19))
		case bytes.HasPrefix(request, []byte("hold")):
			_, err := s.Read(make([]byte, 1))
			cancelled <- err
		case bytes.HasPrefix(request, []byte("fail")):
			_ = link.WriteHandleAnswer(s, link.HandleError, 6)
			_, _ = s.Write([]byte("raised"))
		default:
			_ = link.WriteHandleAnswer(s, link.HandleOK, size)
			_, _ = s.Write(request)
		}
	}
	j := startJob(t, c, fakePython(t))
	j.event(link.EventReady)
	for request, want := range map[string]string{
		"hello":  `{"ok":true} hello`,
		"fail":   `{"ok":false} raised`,
		"refuse": `{"ok":false} RuntimeError: no replica`,
	} {
		j.call("c", "call "+request)
		if got := j.answer("c"); got != want {
			t.Errorf("%s: Python got %q, want %q", request, got, want)
		}
		if got := <-requests; got != request {
			t.Errorf("the controller got %q", got)
		}
	}
	t.Run("large_request_and_answer", func(t *testing.T) {
		j.call("c", "call "+strings.Repeat("x", 5<<20))
		if got := receive(t, j.large, "the answer"); got != 5<<20+len(`{"ok":true} `) {
			t.Fatalf("%d bytes came back", got)
		}
		<-requests
	})
	t.Run("lost_answer_fails_the_call", func(t *testing.T) {
		j.call("c", "call cut")
		if got := j.answer("c"); !strings.HasPrefix(got, `{"ok":false} ReplicaLost: `) {
			t.Fatalf("Python got %q", got)
		}
		<-requests
	})
	t.Run("half_an_answer_is_taken_back", func(t *testing.T) {
		j.call("c", "call halve")
		if got := j.answer("c"); !strings.HasPrefix(got, "aborted ReplicaLost: ") {
			t.Fatalf("Python got %q", got)
		}
		<-requests
	})
	t.Run("cancelled_call_closes_its_stream", func(t *testing.T) {
		j.call("c", "call hold")
		<-requests
		j.call("d", "uncall")
		j.answer("d")
		if err := receive(t, cancelled, "the end of the stream"); err != io.EOF {
			t.Fatalf("the controller saw %v", err)
		}
	})
}

func TestCallsFromOtherDeployments(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	open := func(t *testing.T, replica, request string) *link.Stream {
		t.Helper()
		s, err := j.link().Open(t.Context(), link.Header{Kind: link.KindHandle, Replica: replica, Deployment: "D", Method: "work", ID: "x"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if err := link.WriteHandleRequest(s, int64(len(request))); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	answer := func(t *testing.T, s *link.Stream) (link.HandleStatus, string) {
		t.Helper()
		status, size, err := link.ReadHandleAnswer(s)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(io.LimitReader(s, size))
		if err != nil || int64(len(data)) != size {
			t.Fatalf("%d of %d bytes, %v", len(data), size, err)
		}
		return status, string(data)
	}
	t.Run("python_answers", func(t *testing.T) {
		for _, request := range []string{"hello", strings.Repeat("x", 3<<20)} {
			status, got := answer(t, open(t, tag, request))
			if status != link.HandleOK || got != "result of "+request {
				t.Fatalf("status %d, %d bytes", status, len(got))
			}
		}
	})
	t.Run("unknown_replica_is_refused", func(t *testing.T) {
		status, text := answer(t, open(t, "r9x9", "hello"))
		if status != link.HandleRefused || !strings.HasPrefix(text, "ReplicaLost: ") {
			t.Fatalf("status %d, %q", status, text)
		}
	})
	t.Run("caller_that_leaves_cancels", func(t *testing.T) {
		s := open(t, tag, "hold")
		s.Close()
		if m := j.message(); string(m.Data) != "call cancelled" {
			t.Fatalf("Python got %q", m.Data)
		}
	})
	t.Run("replica_that_ends_refuses", func(t *testing.T) {
		s := open(t, tag, "hold")
		j.call("c", "exit 1")
		status, text := answer(t, s)
		if status != link.HandleRefused || !strings.Contains(text, "ended during the call") {
			t.Fatalf("status %d, %q", status, text)
		}
	})
}
