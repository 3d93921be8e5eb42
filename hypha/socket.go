package hypha

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// This is the only file that knows the WebSocket library.

const (
	// maxFrameBytes is what a peer may send in one frame: the server takes 16 MiB from clients and adds some keys.
	maxFrameBytes = 17 << 20
	// keepScratchBytes is how large the read buffer may stay after a larger frame was read.
	keepScratchBytes = 512 << 10
	// writeWithin bounds the writing of one frame: a peer that takes nothing for so long is dead.
	writeWithin = 30 * time.Second
	dialWithin  = 30 * time.Second
)

// writeBuffers are shared by all sockets, since idle ones need none. One holds a whole chunk, so that a message is
// one WebSocket frame.
var writeBuffers sync.Pool

// socket is one WebSocket. One goroutine may read and one write.
type socket struct {
	ws      *websocket.Conn
	scratch []byte
}

// socketURL is where the server of a base URL takes WebSockets (hypha-protocol 1.1).
func socketURL(server string) (string, error) {
	server = strings.TrimRight(server, "/")
	switch {
	case strings.HasPrefix(server, "ws://"), strings.HasPrefix(server, "wss://"):
		return server, nil
	case strings.HasPrefix(server, "http://"):
		return "ws" + strings.TrimPrefix(server, "http") + "/ws", nil
	case strings.HasPrefix(server, "https://"):
		return "ws" + strings.TrimPrefix(server, "http") + "/ws", nil
	}
	return "", fmt.Errorf("hypha: server URL %q does not begin with http:// or https://", server)
}

// dialSocket connects without compression: compressing arrays costs far more than it saves (replica link 13).
func dialSocket(ctx context.Context, url string) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	dialer := websocket.Dialer{
		Proxy:           http.ProxyFromEnvironment,
		ReadBufferSize:  16 << 10,
		WriteBufferSize: 264 << 10,
		WriteBufferPool: &writeBuffers,
	}
	ws, response, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		if response != nil {
			return nil, fmt.Errorf("dial %s: %w (HTTP status %s)", url, err, response.Status)
		}
		return nil, fmt.Errorf("dial %s: %w", url, err)
	}
	ws.SetReadLimit(maxFrameBytes)
	return &socket{ws: ws}, nil
}

// read returns the next message; data is valid until the next read.
func (s *socket) read() (text bool, data []byte, err error) {
	kind, r, err := s.ws.NextReader()
	if err != nil {
		return false, nil, err
	}
	if cap(s.scratch) > keepScratchBytes || s.scratch == nil {
		s.scratch = make([]byte, 0, 16<<10)
	}
	b := s.scratch[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			s.scratch = b
			return kind == websocket.TextMessage, b, nil
		}
		if err != nil {
			return false, nil, err
		}
	}
}

// write sends one message made of two pieces.
func (s *socket) write(text bool, head, body []byte) error {
	kind := websocket.BinaryMessage
	if text {
		kind = websocket.TextMessage
	}
	if err := s.ws.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	w, err := s.ws.NextWriter(kind)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	if len(body) > 0 {
		if _, err := w.Write(body); err != nil {
			return err
		}
	}
	return w.Close()
}

// readWithin lets reads fail from d on; 0 takes the limit away.
func (s *socket) readWithin(d time.Duration) {
	var deadline time.Time
	if d > 0 {
		deadline = time.Now().Add(d)
	}
	_ = s.ws.SetReadDeadline(deadline) // a dead socket tells so at the next read
}

// close drops the socket; with goodbye the server is told that we leave.
func (s *socket) close(goodbye bool) {
	if goodbye {
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "client disconnected")
		_ = s.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second)) // best effort: we go anyway
	}
	_ = s.ws.Close()
}

// closeCode is the WebSocket status the peer closed with, 0 if none.
func closeCode(err error) int {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return closed.Code
	}
	return 0
}
