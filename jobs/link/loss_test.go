package link

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// valve is a TCP hop that can stop passing bytes on without closing anything, as a cut cable does.
type valve struct {
	net.Listener
	mu     sync.Mutex
	closed bool
}

func newValve(t *testing.T, to string) *valve {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			t.Cleanup(func() { in.Close(); out.Close() })
			go v.pass(in, out)
			go v.pass(out, in)
		}
	}()
	return v
}

func (v *valve) pass(from, to net.Conn) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		v.mu.Lock()
		closed := v.closed
		v.mu.Unlock()
		if err != nil || closed {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
}

func TestSilenceIsALoss(t *testing.T) {
	timing := Timing{Ping: 50 * time.Millisecond, Lost: 500 * time.Millisecond}
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0", func(c *ServerConfig) { c.Limits.Timing = timing })
	s.gate.add("a", "token")
	v := newValve(t, s.endpoint.Addresses[0])
	e := s.endpoint
	e.Addresses = []string{v.Addr().String()}
	agent, err := Dial(t.Context(), DialConfig{Endpoint: e, Identity: Identity{"a", "token", "key"}, Timing: timing})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close("done")
	if _, err := agent.Greet(t.Context(), Hello{}); err != nil {
		t.Fatal(err)
	}
	controller := <-s.arrived
	ended := make(chan error, 2)
	start := time.Now()
	for _, c := range []*Conn{agent, controller} {
		go func() { ended <- c.Run(context.Background(), newRecorder()) }()
	}
	select {
	case err := <-ended:
		t.Fatalf("an idle link ended: %v", err)
	case <-time.After(3 * timing.Lost):
	}
	v.shut()
	for range 2 {
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "lost") {
			t.Fatalf("ended with %v", err)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Fatalf("found out after %v", took)
	}
}

func TestQuietStreamsAreClosedAndOpenedAgain(t *testing.T) {
	received := newRecorder()
	timing := Timing{Ping: 30 * time.Millisecond, Lost: 5 * time.Second}
	p := newPair(t, received, newRecorder(), func(c *ServerConfig) { c.Limits.Timing = timing })
	for i := range 3 {
		if err := p.controller.Send(t.Context(), &Message{Replica: "r", Data: []byte{byte(i)}}); err != nil {
			t.Fatal(err)
		}
		if m := <-received.messages; m.Data[0] != byte(i) {
			t.Fatalf("got %v", m.Data)
		}
		for deadline := time.Now().Add(10 * time.Second); p.controller.mux.NumStreams() > 0; {
			if time.Now().After(deadline) {
				t.Fatal("the quiet stream stays")
			}
			time.Sleep(timing.Ping)
		}
	}
}

func TestStreamEndsReachTheOtherEnd(t *testing.T) {
	got := make(chan error, 1)
	handler := newRecorder()
	handler.stream = func(h Header, s *Stream) {
		if size, err := ReadHandleRequest(s); err != nil || size != 3 || h.Method != "add" {
			got <- errors.New("wrong request")
			return
		}
		_, _ = io.ReadFull(s, make([]byte, 3))
		_, err := s.Read(make([]byte, 1)) // waits for the caller to give up
		got <- err
	}
	p := newPair(t, handler, newRecorder())
	s, err := p.controller.Open(t.Context(), Header{Kind: KindHandle, Replica: "r1x1", Method: "add"})
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteHandleRequest(s, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := <-got; err != io.EOF {
		t.Fatalf("the callee saw %v, want the end", err)
	}
}
