package link

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
	"go.uber.org/zap"
)

// Handler takes what the other end sends. All its methods must return when the link ends: reads fail then.
type Handler interface {
	// Control is called in order, one call at a time, with known types and events.
	Control(Control)
	// Message is called in order for messages of at most SmallMessage bytes of one replica; while it blocks, the
	// other end's Send does. Each larger message has a goroutine of its own.
	Message(*Message)
	// Stream is called on a goroutine of its own; the stream is closed when it returns.
	Stream(Header, *Stream)
}

// Run serves the link until it ends, and returns Err. It ends with ctx. All goroutines that call h have returned.
func (c *Conn) Run(ctx context.Context, h Handler) error {
	stop := context.AfterFunc(ctx, func() { c.Close(context.Cause(ctx).Error()) })
	defer stop()
	var readers sync.WaitGroup
	c.acceptStreams(h, &readers)
	readers.Wait()
	return c.Err()
}

func (c *Conn) acceptStreams(h Handler, readers *sync.WaitGroup) {
	var active atomic.Int64
	for {
		s, err := c.mux.AcceptStream()
		if err != nil {
			c.fail(err)
			return
		}
		if active.Add(1) > maxIncoming {
			active.Add(-1)
			c.log.Warn("too many streams, one is closed", zap.String("allocation", c.allocation))
			s.Close()
			continue
		}
		readers.Go(func() {
			defer active.Add(-1)
			defer s.Close()
			c.serveStream(s, h)
		})
	}
}

func (c *Conn) serveStream(s *yamux.Stream, h Handler) {
	head, err := readHeader(s)
	if err == nil {
		switch head.Kind {
		case KindControl:
			err = c.readControl(s, head, h)
		case KindMessages:
			err = c.readMessages(s, head, h)
		case KindMessage:
			err = c.readMessage(s, head.Replica, h)
		case KindLog, KindHandle:
			h.Stream(head, &Stream{mux: s, close: sync.OnceFunc(func() { s.Close() })})
		}
	}
	var broken *protocolError
	if errors.As(err, &broken) { // any other error is the end of the stream or of the link
		c.fail(err)
	}
}

func readHeader(s *yamux.Stream) (Header, error) {
	var head Header
	s.SetReadDeadline(time.Now().Add(greetTimeout))
	defer s.SetReadDeadline(time.Time{})
	return head, readFrame(s, MaxHeader, &head)
}

// shrinkAbove is the size of a message after which yamux's read buffer is given back: a quiet link keeps little.
const shrinkAbove = 4 << 10

// readControl reads control messages, after the earlier ones.
func (c *Conn) readControl(s *yamux.Stream, head Header, h Handler) error {
	defer c.inOrder(head)()
	for {
		var m Control
		if err := readFrame(s, MaxControl, &m); err != nil {
			return err
		}
		if known(m) {
			h.Control(m)
		}
	}
}

// readMessages reads a stream of small messages, after the replica's earlier ones.
func (c *Conn) readMessages(s *yamux.Stream, head Header, h Handler) error {
	defer c.inOrder(head)()
	for {
		m, size, err := readRecord(s, head.Replica, SmallMessage)
		if err != nil {
			return err
		}
		m.Data = make([]byte, size)
		if _, err := io.ReadFull(s, m.Data); err != nil {
			return unexpected(err)
		}
		if size > shrinkAbove {
			s.Shrink()
		}
		h.Message(m)
	}
}

// inOrder waits until earlier streams of the same lane have been read; the returned function lets the next one go.
func (c *Conn) inOrder(head Header) (release func()) {
	mine := make(chan struct{})
	c.mu.Lock()
	before := c.order[head.lane()]
	c.order[head.lane()] = mine
	c.mu.Unlock()
	if before != nil {
		<-before
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.order[head.lane()] == mine {
			delete(c.order, head.lane())
		}
		close(mine)
	}
}

// readMessage reads a message that has the stream to itself.
func (c *Conn) readMessage(s *yamux.Stream, replica string, h Handler) error {
	m, size, err := readRecord(s, replica, MaxMessage)
	if err != nil {
		return err
	}
	body := &sizedReader{r: s, left: size}
	m.Reader, m.Size = body, size
	h.Message(m)
	// A sender whose bytes nobody reads would wait for ever.
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	_, err = s.Write([]byte{taken})
	return err
}

// sizedReader reads exactly left bytes; if there are fewer it fails with io.ErrUnexpectedEOF.
type sizedReader struct {
	r    io.Reader
	left int64
}

func (r *sizedReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if r.left > 0 {
		err = unexpected(err)
	} else {
		err = nil
	}
	return n, err
}
