package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestGarbageBeforeTheUpgrade(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0")
	s.gate.add("a", "token")
	address := s.endpoint.Addresses[0]
	for name, send := range map[string]func(net.Conn) error{
		"not TLS":        func(c net.Conn) error { _, err := c.Write(randomBytes(4096)); return err },
		"not HTTP":       func(c net.Conn) error { return overTLS(c, s.endpoint, randomBytes(4096)) },
		"endless header": func(c net.Conn) error { return overTLS(c, s.endpoint, bytes.Repeat([]byte("GET"), 1<<20)) },
		"no upgrade":     func(c net.Conn) error { return overTLS(c, s.endpoint, []byte("GET /link HTTP/1.1\r\nHost: x\r\n\r\n")) },
		"another path":   func(c net.Conn) error { return overTLS(c, s.endpoint, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) },
		"closed at once": func(net.Conn) error { return nil },
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(c); err != nil {
			t.Logf("%s: %v", name, err) // the server may have hung up already
		}
		c.Close()
	}
	c, err := s.dial(t, Identity{Allocation: "a", Token: "token", Key: "key"})
	if err != nil {
		t.Fatalf("a good agent after the garbage: %v", err)
	}
	c.Close("done")
}

func overTLS(c net.Conn, e Endpoint, data []byte) error {
	secure := tls.Client(c, pinned(e.Fingerprint))
	if _, err := secure.Write(data); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, secure)
	return err
}

// rawAgent joins and hands out the bare WebSocket, for breaking rules.
func rawAgent(t *testing.T, s *site) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{TLSClientConfig: pinned(s.endpoint.Fingerprint)}
	id := Identity{Allocation: "a", Token: "token", Key: "key"}
	ws, _, err := dialer.Dial("wss://"+s.endpoint.Addresses[0]+linkPath, id.header())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return ws
}

func TestBrokenProtocolEndsTheLink(t *testing.T) {
	for name, c := range map[string]struct {
		kind int
		data []byte
	}{
		"garbage":           {websocket.BinaryMessage, bytes.Repeat([]byte{0xff}, 4096)},
		"text message":      {websocket.TextMessage, []byte("hello")},
		"oversized message": {websocket.BinaryMessage, make([]byte, maxSocketFrame+1)},
		"window exceeded":   {websocket.BinaryMessage, muxFrame(0, 1, 1, 1<<30, nil)},
		"oversized hello": {websocket.BinaryMessage, muxFrame(0, 1, 1, 0,
			append([]byte{0, 0, 0, 18}, append([]byte(`{"kind":"control"}`), 0xff, 0xff, 0xff, 0xff)...))},
		"another first stream": {websocket.BinaryMessage, muxFrame(0, 1, 1, 0, append([]byte{0, 0, 0, 2}, "{}"...))},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0")
			s.gate.add("a", "token")
			ws := rawAgent(t, s)
			if err := ws.WriteMessage(c.kind, c.data); err != nil {
				t.Fatal(err)
			}
			ws.SetReadDeadline(time.Now().Add(10 * time.Second))
			var timeout net.Error
			for {
				_, _, err := ws.NextReader()
				if errors.As(err, &timeout) && timeout.Timeout() {
					t.Fatal("the controller kept the link")
				}
				if err != nil {
					return
				}
			}
		})
	}
}

// muxFrame is a frame of yamux; size 0 means that of the data.
func muxFrame(kind byte, flags uint16, stream, size uint32, data []byte) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	if size == 0 {
		size = uint32(len(data))
	}
	return append(binary.BigEndian.AppendUint32(b, size), data...)
}

func TestOversizedFramesEndTheLink(t *testing.T) {
	for name, send := range map[string]func(*Conn) error{
		"stream header": func(c *Conn) error {
			s, err := c.mux.OpenStream()
			if err == nil {
				_, err = s.Write(binary.BigEndian.AppendUint32(nil, MaxHeader+1))
			}
			return err
		},
		"control message": func(c *Conn) error {
			_, err := c.control.stream.Write(binary.BigEndian.AppendUint32(nil, MaxControl+1))
			return err
		},
		"control that is not JSON": func(c *Conn) error {
			_, err := c.control.stream.Write([]byte{0, 0, 0, 1, '{'})
			return err
		},
		"small message": func(c *Conn) error {
			s, err := c.openStream(Header{Kind: KindMessages, Replica: "r"})
			if err == nil {
				_, err = s.Write([]byte{0, 0, 0, 0xff, 0xff, 0xff, 0xff})
			}
			return err
		},
		"large message": func(c *Conn) error {
			s, err := c.openStream(Header{Kind: KindMessage, Replica: "r"})
			if err == nil {
				_, err = s.Write([]byte{0, 0, 0, 0xff, 0xff, 0xff, 0xff})
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, newRecorder(), newRecorder())
			if err := send(p.agent); err != nil {
				t.Fatal(err)
			}
			<-p.controller.Done()
			var broken *protocolError
			if err := p.controller.Err(); !errors.As(err, &broken) {
				t.Fatalf("the controller says %v", err)
			}
			var closed *ClosedError
			<-p.agent.Done()
			if err := p.agent.Err(); !errors.As(err, &closed) || !strings.Contains(closed.Reason, "protocol broken") {
				t.Fatalf("the agent learnt %v", err)
			}
		})
	}
}

func TestUnknownKindsAreIgnored(t *testing.T) {
	received := newRecorder()
	p := newPair(t, newRecorder(), received)
	s, err := p.agent.Open(t.Context(), Header{Kind: "teleport"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the unknown stream gave %v, want its end", err)
	}
	for _, c := range []Control{{Type: "sing"}, {Type: ControlEvent, Event: EventDrained}} {
		if err := p.agent.Control(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if c := <-received.controls; c.Event != EventDrained {
		t.Fatalf("the handler got %+v", c)
	}
}

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
		for deadline := time.Now().Add(10 * time.Second); p.controller.mux.NumStreams() > 1; {
			if time.Now().After(deadline) {
				t.Fatal("the quiet stream stays")
			}
			time.Sleep(timing.Ping)
		}
	}
}

func TestOpenStreamsAreBounded(t *testing.T) {
	hold := make(chan struct{})
	handler := newRecorder()
	handler.stream = func(_ Header, s *Stream) { <-hold }
	p := newPair(t, newRecorder(), handler)
	var streams []*Stream
	for range maxStreams {
		s, err := p.agent.Open(t.Context(), Header{Kind: KindHandle})
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.agent.Open(ctx, Header{Kind: KindHandle}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("one stream too many: %v", err)
	}
	streams[0].Close()
	s, err := p.agent.Open(t.Context(), Header{Kind: KindHandle})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	close(hold)
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

func TestConnectionsAreBounded(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0", func(c *ServerConfig) { c.Limits.Connections = 1 })
	s.gate.add("a", "token")
	id := Identity{Allocation: "a", Token: "token", Key: "key"}
	c, err := s.dial(t, id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close("done")
	_, err = s.dial(t, id)
	wantRefusal(t, err, CodeBusy)
}

func TestGateFailureIsNotTold(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0", func(c *ServerConfig) {
		c.Gate = brokenGate{}
		c.Log = c.Log.WithOptions()
	})
	_, err := s.dial(t, Identity{Allocation: "a"})
	wantRefusal(t, err, CodeNotReady)
	if strings.Contains(err.Error(), "disk") {
		t.Fatalf("the agent learnt %v", err)
	}
}

type brokenGate struct{}

func (brokenGate) Admit(context.Context, Identity, string) error { return errors.New("disk full") }

func TestRefusalsHaveAStatus(t *testing.T) {
	for code, want := range map[string]int{
		CodeBadToken: http.StatusUnauthorized, CodeSuperseded: http.StatusGone, CodeRateLimited: http.StatusTooManyRequests,
		CodeUnknownAllocation: http.StatusNotFound, CodeBusy: http.StatusServiceUnavailable, "new": http.StatusServiceUnavailable,
	} {
		if got := (&Refusal{Code: code}).status(); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}
