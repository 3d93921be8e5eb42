package link

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// Stream is one stream after its header. Reads and writes may run at the same time, each from one goroutine.
//
// Close ends both directions as far as this end is concerned: the other end reads what was written, then io.EOF, and
// must then close too (a minute later the stream is reset). Its writes go on to succeed up to the stream's window of
// 256 KiB, so an end that writes much must also read to notice. Nothing here half-closes: the formats on top carry sizes.
type Stream struct {
	mux   *yamux.Stream
	close func()
}

var _ net.Conn = (*Stream)(nil)

// Open opens a stream. It waits while this end has 256 of them open.
func (c *Conn) Open(ctx context.Context, head Header) (*Stream, error) {
	s, err := c.open(ctx, head)
	if err != nil {
		return nil, fmt.Errorf("open %s stream: %w", head.Kind, err)
	}
	return s, nil
}

func (c *Conn) open(ctx context.Context, head Header) (*Stream, error) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.Done():
		return nil, c.Err()
	}
	s, err := c.openStream(head)
	if err != nil {
		<-c.slots
		return nil, c.sendError(ctx, err)
	}
	return &Stream{mux: s, close: sync.OnceFunc(func() {
		s.Close()
		<-c.slots
	})}, nil
}

// Read reads; io.EOF when the other end has closed or the link is lost: only a format that carries its size can tell.
func (s *Stream) Read(p []byte) (int, error) { return s.mux.Read(p) }

// Write writes all of p in chunks, so that the link's other streams get their turn and its buffers stay small.
func (s *Stream) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n, err := s.mux.Write(p[:min(len(p), writeChunk)])
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// Close ends the stream; see Stream. It may be called more than once and from any goroutine, and ends a blocked Write.
func (s *Stream) Close() error {
	s.close()
	return nil
}

// LocalAddr and RemoteAddr are those of the link.
func (s *Stream) LocalAddr() net.Addr  { return s.mux.LocalAddr() }
func (s *Stream) RemoteAddr() net.Addr { return s.mux.RemoteAddr() }

// SetDeadline and its kin work as those of net.Conn.
func (s *Stream) SetDeadline(t time.Time) error      { return s.mux.SetDeadline(t) }
func (s *Stream) SetReadDeadline(t time.Time) error  { return s.mux.SetReadDeadline(t) }
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.mux.SetWriteDeadline(t) }
