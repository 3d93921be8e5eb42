package hypha

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// chunkSlack is how much larger than a chunk a message may be and still go out whole.
	chunkSlack = 1024
	// chunksInFlight bounds the chunks of one message that wait for the receiver's answer.
	chunksInFlight = 8
	// maxUploads bounds the chunked messages being sent at once; further senders wait.
	maxUploads = 16
	// uploadBeat is how often the call that a chunked message belongs to is kept alive.
	uploadBeat = time.Second
	// builtinPrefix begins the methods of every client's built-in service.
	builtinPrefix = "services.built-in."
)

// Send puts a frame on the wire; From is set to our address (and by the server), an empty Type to "method". It reads
// p.Data, or p.Size bytes of p.Reader, and returns when all is written, so that its slowness is back-pressure; nothing
// keeps p afterwards. Messages larger than Limits.ChunkBytes go in chunks, whose receiver's call (Header.Parent) is kept
// alive meanwhile; later small ones may overtake them. While disconnected, answers (resolve, reject, heartbeat) fail with
// ErrNotConnected at once, since their callers have been told that we are gone; other frames wait.
func (c *Client) Send(ctx context.Context, h Header, p Payload) error {
	conn, _ := c.live()
	if conn == nil || conn.isDown() {
		if isAnswer(h.Method) {
			return ErrNotConnected
		}
		var err error
		if conn, err = c.connection(ctx); err != nil {
			return err
		}
	}
	h.From = conn.info.Address()
	setDefault(&h.Type, "method")
	return c.sendOn(ctx, conn, h, p)
}

func isAnswer(method string) bool {
	return strings.HasSuffix(method, ".resolve") || strings.HasSuffix(method, ".reject") || strings.HasSuffix(method, ".heartbeat")
}

// sendOn sends a frame of any size over one connection.
func (c *Client) sendOn(ctx context.Context, conn *connection, h Header, p Payload) error {
	head := h.Append(make([]byte, 0, 256))
	total := int64(len(head)) + p.Len()
	if total > c.limits.MaxMessageBytes {
		return fmt.Errorf("%w: %d bytes to %s", ErrTooLarge, total, h.To)
	}
	if total > int64(c.limits.ChunkBytes)+chunkSlack {
		return c.sendChunks(ctx, conn, h, head, p)
	}
	body, err := p.bytes()
	if err != nil {
		return err
	}
	return conn.send(ctx, head, body)
}

// sendChunks uses the receiver's message_cache (hypha-protocol 2.6) with a key of its own: the reference uses the session, so
// that two large callbacks of one call collide.
func (c *Client) sendChunks(ctx context.Context, conn *connection, h Header, head []byte, p Payload) error {
	if err := c.uploads.Acquire(ctx, 1); err != nil {
		return err
	}
	defer c.uploads.Release(1)
	up := &upload{client: c, conn: conn, to: h.To, key: rand.Text()}
	group, groupCtx := errgroup.WithContext(ctx)
	done := make(chan struct{})
	group.Go(func() error {
		up.beat(h, done)
		return nil
	})
	group.Go(func() error {
		defer close(done)
		return up.run(groupCtx, head, p)
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("send %s in chunks: %w", h.Method, err)
	}
	return nil
}

// upload is one message on its way in chunks.
type upload struct {
	client  *Client
	conn    *connection
	to, key string
}

func (u *upload) run(ctx context.Context, head []byte, p Payload) error {
	if err := u.call(ctx, "create", appendString(nil, u.key), nil); err != nil {
		return err
	}
	err := u.pieces(ctx, head, p)
	if err == nil {
		return u.call(ctx, "process", appendString(nil, u.key), nil)
	}
	u.remove(ctx)
	return err
}

// remove frees the receiver's buffer after a failure, though ctx may have ended.
func (u *upload) remove(ctx context.Context) {
	if u.conn.isDown() {
		return
	}
	h := Header{Type: "method", From: u.conn.info.Address(), To: u.to, Method: builtinPrefix + "message_cache.remove"}
	frame := appendSingleArg(h.Append(nil), appendString(nil, u.key))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = u.conn.send(ctx, frame, nil) // best effort: the receiver frees idle buffers too
}

// pieces sends head and payload in order, a few at a time.
func (u *upload) pieces(ctx context.Context, head []byte, p Payload) error {
	body := p.Reader
	if body == nil {
		body = bytes.NewReader(p.Data)
	} else {
		body = io.LimitReader(body, p.Size)
	}
	source := io.MultiReader(bytes.NewReader(head), body)
	left := int64(len(head)) + p.Len()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(chunksInFlight)
	for index := int64(0); left > 0 && ctx.Err() == nil; index++ {
		piece := make([]byte, min(left, int64(u.client.limits.ChunkBytes)))
		if _, err := io.ReadFull(source, piece); err != nil {
			group.Go(func() error { return fmt.Errorf("read the message: %w", err) })
			break
		}
		left -= int64(len(piece))
		group.Go(func() error {
			args := appendInt(appendString(nil, u.key), index)
			return u.call(ctx, "set", appendBinLen(args, len(piece)), piece)
		})
	}
	return group.Wait()
}

// call makes one call of message_cache with packed arguments, of which the last may be continued by data. Its promise asks for
// no heartbeats, each of which would cost the receiver a message.
func (u *upload) call(ctx context.Context, name string, args, data []byte) error {
	c := u.client
	s := c.sessions.open(u.to)
	defer c.sessions.close(s.id)
	from := u.conn.info.Address()
	h := Header{Type: "method", From: from, To: u.to, Session: s.id, Method: builtinPrefix + "message_cache." + name}
	frame := appendString(appendMapLen(h.Append(make([]byte, 0, 512)), 2), "promise")
	frame = appendMapLen(frame, 2)
	for _, end := range []string{"resolve", "reject"} {
		frame = appendString(frame, end)
		frame = appendMapLen(frame, 4)
		frame = appendString(appendString(frame, "_rtype"), "method")
		frame = appendString(appendString(frame, "_rtarget"), from)
		frame = appendString(appendString(frame, "_rmethod"), s.id+"."+end)
		frame = appendBool(appendString(frame, "_rpromise"), false)
	}
	count := 1
	if name == "set" {
		count = 3
	}
	frame = append(appendArrayLen(appendString(frame, "args"), count), args...)
	if err := u.conn.send(ctx, frame, data); err != nil {
		return err
	}
	if _, err := c.awaitAnswer(ctx, s, c.config.MethodTimeout); err != nil {
		return fmt.Errorf("message_cache.%s: %w", name, err)
	}
	return nil
}

// beat keeps the call alive that the message belongs to, until done.
func (u *upload) beat(h Header, done <-chan struct{}) {
	if h.Parent == "" {
		return
	}
	frame := Header{
		Type: "method", From: u.conn.info.Address(), To: h.To, Method: h.Parent + ".heartbeat", Parent: h.Parent,
	}.Append(nil)
	ticker := time.NewTicker(uploadBeat)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-u.conn.down:
			return
		case <-ticker.C:
			u.conn.reply(frame)
		}
	}
}
