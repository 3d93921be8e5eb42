package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hashicorp/yamux"
)

// lane is a stream that several goroutines write to in turn.
type lane struct {
	turn   chan struct{} // holds a value while somebody writes
	stream *yamux.Stream // nil: to be opened by the next writer
	used   bool          // since closeIfQuiet looked last
}

func newLane(s *yamux.Stream) *lane { return &lane{turn: make(chan struct{}, 1), stream: s} }

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

// Control sends a control message, in order with the others. It fails only with the link or ctx; a message cut by ctx
// costs the link, since nothing after it could be read.
func (c *Conn) Control(ctx context.Context, m Control) error {
	if err := c.sendFrame(ctx, m); err != nil {
		return fmt.Errorf("send %s: %w", m.Type, err)
	}
	return nil
}

func (c *Conn) sendFrame(ctx context.Context, v any) error {
	if c.control == nil {
		return errors.New("the link has not been greeted")
	}
	if err := c.control.lock(ctx, c.Done()); err != nil {
		return c.sendError(ctx, err)
	}
	defer c.control.unlock()
	defer within(ctx, c.control.stream)()
	err := c.writeFrame(c.control, v)
	if err != nil && !errors.Is(err, ErrTooLarge) {
		c.fail(fmt.Errorf("link lost: %w", err))
	}
	return c.sendError(ctx, err)
}

func (c *Conn) writeFrame(l *lane, v any) error {
	limit := MaxControl
	if _, ok := v.(Header); ok {
		limit = MaxHeader
	}
	frame, err := encodeFrame(v, limit)
	if err != nil {
		return err
	}
	return c.buffers.writeParts(l.stream, frame)
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
	l := c.lane(m.Replica)
	if err := l.lock(ctx, c.Done()); err != nil {
		return c.sendError(ctx, err)
	}
	defer l.unlock()
	l.used = true
	if err := c.openLane(l, m.Replica); err != nil {
		return c.sendError(ctx, err)
	}
	defer within(ctx, l.stream)()
	err := c.buffers.writeParts(l.stream, encodeRecord(m), m.Head, data)
	if err != nil {
		// Nothing after a part of a message could be read: the next one takes a new stream, read after this one.
		l.stream.Close()
		l.stream = nil
	}
	return c.sendError(ctx, err)
}

// lane returns the stream of a replica's small messages from this end.
func (c *Conn) lane(replica string) *lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[replica]
	if l == nil {
		l = newLane(nil)
		c.lanes[replica] = l
	}
	return l
}

func (c *Conn) openLane(l *lane, replica string) error {
	if l.stream != nil {
		return nil
	}
	s, err := c.openStream(Header{Kind: KindMessages, Replica: replica})
	l.stream = s
	return err
}

func (c *Conn) openStream(head Header) (*yamux.Stream, error) {
	s, err := c.mux.OpenStream()
	if err != nil {
		return nil, err
	}
	if err := c.writeFrame(&lane{stream: s}, head); err != nil {
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
