package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	muxHeader       = 12                     // bytes of yamux's frame header
	readBuffer      = 256                    // of gorilla; larger reads bypass it
	writeBuffer     = muxHeader + writeChunk // of gorilla, pooled: held only while a message is written
	maxSocketFrame  = 1 << 20                // bytes of one WebSocket message we accept
	closeReasonSize = 123                    // bytes that fit into a close frame
	goodbyeTime     = 250 * time.Millisecond // for the reason, behind a write that may be stuck
)

// wsConn makes a WebSocket the byte stream that yamux runs on. It is the only code that knows WebSocket frames.
// Read and Write are each called by one goroutine of yamux; the other methods by any.
type wsConn struct {
	ws     *websocket.Conn
	timing Timing

	message  io.Reader // rest of the message being read; nil between messages
	extended time.Time // when the read deadline was set last

	held []byte // a yamux header whose body comes with the next Write

	mu    sync.Mutex // guards the following field
	cause error      // why reading ended
}

func newWSConn(ws *websocket.Conn, t Timing) *wsConn {
	w := &wsConn{ws: ws, timing: t, held: make([]byte, 0, muxHeader)}
	ws.SetReadLimit(maxSocketFrame)
	ws.SetPongHandler(func(string) error { return w.extend() })
	// Answering pings from the reading goroutine could block it behind a full write; nobody needs the answer.
	ws.SetPingHandler(func(string) error { return w.extend() })
	return w
}

// extend renews the deadline of the link's life.
func (w *wsConn) extend() error {
	w.extended = time.Now()
	return w.ws.SetReadDeadline(w.extended.Add(w.timing.Lost))
}

// Read is called again only when bytes have arrived, so it may renew the deadline.
func (w *wsConn) Read(p []byte) (int, error) {
	if time.Since(w.extended) > w.timing.Ping/4 {
		if err := w.extend(); err != nil {
			return 0, w.end(err)
		}
	}
	for {
		if w.message == nil {
			kind, r, err := w.ws.NextReader()
			if err != nil {
				return 0, w.end(err)
			}
			if kind != websocket.BinaryMessage {
				return 0, w.end(violation("a text message"))
			}
			w.message = r
		}
		n, err := w.message.Read(p)
		if err == io.EOF {
			w.message = nil
			err = nil
		}
		if n > 0 || err != nil {
			return n, w.end(err)
		}
	}
}

// Write sends a message per yamux frame: yamux writes header and body apart, which would be two TLS records and two
// system calls.
func (w *wsConn) Write(p []byte) (int, error) {
	if len(w.held) == 0 && hasBody(p) {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	out, err := w.ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return 0, err
	}
	if _, err := out.Write(w.held); err != nil {
		return 0, err
	}
	if _, err := out.Write(p); err != nil {
		return 0, err
	}
	w.held = w.held[:0]
	return len(p), out.Close()
}

// hasBody says that p is the header of a data frame with content, see yamux's spec.
func hasBody(p []byte) bool {
	return len(p) == muxHeader && p[1] == 0 && binary.BigEndian.Uint32(p[8:]) > 0
}

// Close ends the socket without a word.
func (w *wsConn) Close() error { return w.ws.Close() }

// LocalAddr and RemoteAddr serve yamux's log lines.
func (w *wsConn) LocalAddr() net.Addr  { return w.ws.LocalAddr() }
func (w *wsConn) RemoteAddr() net.Addr { return w.ws.RemoteAddr() }

// beat tells the other end that this one lives.
func (w *wsConn) beat() error {
	return w.ws.WriteControl(websocket.PongMessage, nil, time.Now().Add(w.timing.Lost))
}

// goodbye sends the reason of a wanted end, if it can be sent soon.
func (w *wsConn) goodbye(reason string) {
	frame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, reason[:min(len(reason), closeReasonSize)])
	_ = w.ws.WriteControl(websocket.CloseMessage, frame, time.Now().Add(goodbyeTime)) // the end comes either way
}

// end remembers the first error of reading in our own words.
func (w *wsConn) end(err error) error {
	if err == nil {
		return nil
	}
	var closed *websocket.CloseError
	var timeout net.Error
	switch {
	case errors.As(err, &closed) && closed.Code == websocket.CloseNormalClosure:
		err = &ClosedError{closed.Text}
	case errors.As(err, &timeout) && timeout.Timeout():
		err = fmt.Errorf("link lost: nothing heard for %s", w.timing.Lost)
	case errors.Is(err, websocket.ErrReadLimit):
		err = violation("a WebSocket message of more than %d bytes", maxSocketFrame)
	default:
		err = fmt.Errorf("link lost: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause == nil {
		w.cause = err
	}
	return err
}

func (w *wsConn) reason() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}
