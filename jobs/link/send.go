package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hashicorp/yamux"
)

// lane is a place in the order of sending: a stream that several goroutines write to in turn, opened when it is needed
// and closed when it is quiet.
type lane struct {
	turn   chan struct{} // holds a value while somebody writes
	stream *yamux.Stream // nil: to be opened by the next writer
	used   bool          // since closeIfQuiet looked last
}

func (l *lane) lock(ctx context.Context, done <-chan struct{}) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-done:
		return yamux.ErrSessionShutdown
	}
}

func (l *lane) unlock() { <-l.turn }

// closeIfQuiet closes a stream that was not used since the last call; one in use it leaves alone.
func (l *lane) closeIfQuiet() {
	select {
	case l.turn <- struct{}{}:
	default:
		return
	}
	defer l.unlock()
	if !l.used && l.stream != nil {
		l.stream.Close()
		l.stream = nil
	}
	l.used = false
}

// Control sends a control message, in order with the others. A message that ctx cuts short is lost.
func (c *Conn) Control(ctx context.Context, m Control) error {
	frame, err := encodeFrame(m, MaxControl)
	if err == nil {
		err = c.sendInTurn(ctx, Header{Kind: KindControl}, frame)
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", m.Type, err)
	}
	return nil
}

func (c *Conn) writeFrame(s *yamux.Stream, v any, limit int) error {
	frame, err := encodeFrame(v, limit)
	if err != nil {
		return err
	}
	return c.buffers.writeParts(s, frame)
}

// Send sends a Hypha message and returns when it is on its way (at most SmallMessage bytes) or when the other end has
// taken it (larger). It blocks while the other end takes nothing: that is the back-pressure. Messages of at most
// SmallMessage bytes to one replica keep the order in which Send was called. It is never tried twice: after an error
// the message may or may not have arrived. Errors: ErrTooLarge, that of m.Reader, the context's, or the link's.
func (c *Conn) Send(ctx context.Context, m *Message) error {
	var err error
	switch {
	case m.Len() > MaxMessage, len(m.Call) > math.MaxUint16:
		err = ErrTooLarge
	case m.Len() <= SmallMessage:
		err = c.sendOrdered(ctx, m)
	default:
		err = c.sendAlone(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("send %d bytes for replica %s: %w", m.Len(), m.Replica, err)
	}
	return nil
}

func (c *Conn) sendOrdered(ctx context.Context, m *Message) error {
	data := m.Data
	if m.Reader != nil {
		data = make([]byte, m.Size)
		if _, err := io.ReadFull(m.Reader, data); err != nil {
			return &sourceError{unexpected(err)}
		}
	}
	return c.sendInTurn(ctx, Header{Kind: KindMessages, Replica: m.Replica}, encodeRecord(m), m.Head, data)
}

// sendInTurn writes to the lane of a header, after those who came first.
func (c *Conn) sendInTurn(ctx context.Context, head Header, parts ...[]byte) error {
	l := c.lane(head)
	if err := l.lock(ctx, c.Done()); err != nil {
		return c.sendError(ctx, err)
	}
	defer l.unlock()
	l.used = true
	if l.stream == nil {
		s, err := c.openStream(head)
		if err != nil {
			return c.sendError(ctx, err)
		}
		l.stream = s
	}
	defer within(ctx, l.stream)()
	err := c.buffers.writeParts(l.stream, parts...)
	if err != nil {
		// Nothing after a part of a message could be read: the next one takes a new stream, read after this one.
		l.stream.Close()
		l.stream = nil
	}
	return c.sendError(ctx, err)
}

// lane returns the lane of this end with the header.
func (c *Conn) lane(head Header) *lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[head.lane()]
	if l == nil {
		l = &lane{turn: make(chan struct{}, 1)}
		c.lanes[head.lane()] = l
	}
	return l
}

func (c *Conn) openStream(head Header) (*yamux.Stream, error) {
	s, err := c.mux.OpenStream()
	if err != nil {
		return nil, err
	}
	if err := c.writeFrame(s, head, MaxHeader); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// taken is what the receiver of a message on a stream of its own says before it closes.
const taken = 1

func (c *Conn) sendAlone(ctx context.Context, m *Message) error {
	s, err := c.open(ctx, Header{Kind: KindMessage, Replica: m.Replica})
	if err != nil {
		return err
	}
	defer s.Close()
	defer within(ctx, s.mux)()
	if err := c.buffers.writeParts(s.mux, encodeRecord(m), m.Head, m.Data); err != nil {
		return c.sendError(ctx, err)
	}
	if m.Reader != nil {
		if err := c.buffers.copyN(s.mux, m.Reader, m.Size); err != nil {
			return c.sendError(ctx, err)
		}
	}
	var answer [1]byte
	if _, err := io.ReadFull(s, answer[:]); err != nil || answer[0] != taken {
		return c.sendError(ctx, fmt.Errorf("%w: %w", ErrRefused, err))
	}
	return nil
}

// sendError turns what yamux says into why: the context's end, the link's, or the error itself.
func (c *Conn) sendError(ctx context.Context, err error) error {
	var source *sourceError
	switch {
	case err == nil, errors.As(err, &source), errors.Is(err, ErrTooLarge):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.mux.IsClosed():
		return c.Err()
	}
	return err
}
