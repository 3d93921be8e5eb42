package hypha

import (
	"context"
	"sync"
	"time"
)

// heartbeats keeps a caller waiting while its call runs (hypha-protocol 2.4). Calling stop again does nothing. The
// reference sends one at once, too; that costs one message per call and is not required.
func (c *Client) heartbeats(in *inbound, every time.Duration) (stop func()) {
	if every <= 0 || in.header.Session == "" {
		return nothing
	}
	b := &beater{conn: in.conn, frame: answerHeader(in.conn, in.header, "heartbeat").Append(nil), every: every}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer = time.AfterFunc(every, b.beat)
	return b.stop
}

// beater sends a frame again and again from a timer.
type beater struct {
	conn  *connection
	frame []byte
	every time.Duration

	mu      sync.Mutex // guards the following fields
	timer   *time.Timer
	stopped bool
}

func (b *beater) beat() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || b.conn.isDown() {
		return
	}
	b.conn.reply(b.frame)
	b.timer.Reset(b.every)
}

func (b *beater) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	b.timer.Stop()
}

// answerHeader is the header of an answer, made from the caller's alone (replica link 5).
func answerHeader(conn *connection, to Header, name string) Header {
	return Header{Type: "method", From: conn.info.Address(), To: to.From, Method: to.Session + "." + name, Parent: to.Session}
}

// answer queues resolve (value) or reject (error) for a small value without waiting.
func (conn *connection) answer(to Header, name string, value any) {
	if to.Session == "" {
		return
	}
	packed, err := encodePlain(value)
	if err != nil {
		packed, _ = encodePlain(errorFields(err))
	}
	conn.reply(appendSingleArg(answerHeader(conn, to, name).Append(nil), packed))
}

// sendAnswer sends resolve or reject with a packed value of any size.
func (c *Client) sendAnswer(ctx context.Context, conn *connection, to Header, name string, packed []byte) error {
	if to.Session == "" {
		return nil
	}
	extra := appendSingleArg(make([]byte, 0, len(packed)+16), packed)
	return c.sendOn(ctx, conn, answerHeader(conn, to, name), Payload{Data: extra})
}

// Resolve answers the call that came with header to; a call without session gets none.
func (c *Client) Resolve(ctx context.Context, to Header, value any) error {
	packed, held, err := c.packResult(to.From, value)
	if err != nil {
		return err
	}
	if err = c.settleNow(ctx, to, "resolve", packed); err != nil && held != nil {
		c.sessions.close(held.id)
	}
	return err
}

// Reject answers the call that came with header to with an error.
func (c *Client) Reject(ctx context.Context, to Header, err error) error {
	packed, _ := encodePlain(errorFields(err)) // a map of texts
	return c.settleNow(ctx, to, "reject", packed)
}

func (c *Client) settleNow(ctx context.Context, to Header, name string, packed []byte) error {
	conn, _ := c.live()
	if conn == nil {
		return ErrNotConnected
	}
	return c.sendAnswer(ctx, conn, to, name, packed)
}

// Heartbeat keeps the caller waiting for the call that came with header to. It does not wait: when very many answers
// are queued it is dropped and counted.
func (c *Client) Heartbeat(_ context.Context, to Header) error {
	conn, _ := c.live()
	if conn == nil {
		return ErrNotConnected
	}
	if to.Session != "" {
		conn.reply(answerHeader(conn, to, "heartbeat").Append(nil))
	}
	return nil
}
