package link

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
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
			append([]byte{0, 0, 0, 19}, append([]byte(`{"kind":"greeting"}`), 0xff, 0xff, 0xff, 0xff)...))},
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
			s, err := c.openStream(Header{Kind: KindControl})
			if err == nil {
				_, err = s.Write(binary.BigEndian.AppendUint32(nil, MaxControl+1))
			}
			return err
		},
		"control that is not JSON": func(c *Conn) error {
			s, err := c.openStream(Header{Kind: KindControl})
			if err == nil {
				_, err = s.Write([]byte{0, 0, 0, 1, '{'})
			}
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
