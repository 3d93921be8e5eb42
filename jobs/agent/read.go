package agent

import (
	"context"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// reader takes what comes from one child. All its methods run on one goroutine, which blocks only when the outbox is
// full: that is the back-pressure to Python.
type reader struct {
	*replica
	child   *child
	partial map[messageKey]*inbound
}

// read reads frames until Python closes the socket or breaks the protocol, which ends it.
func (r *replica) read(ctx context.Context, child *child) {
	in := &reader{r, child, map[messageKey]*inbound{}}
	frames := newDecoder(child.socket.conn, child.socket.buffers)
	defer func() {
		for _, body := range in.partial {
			body.end()
		}
	}()
	for {
		f, err := frames.next()
		if err == nil {
			err = in.frame(ctx, f)
		}
		if err != nil {
			r.notRead(child, err)
			return
		}
	}
}

func (r *replica) notRead(child *child, err error) {
	if expected(err) || child.ended() {
		return
	}
	r.log.Error("Python is ended", zap.Error(err))
	r.output.add(link.LogRecord{Stream: link.Stderr, Time: time.Now(), Text: "bioengine-agent: " + err.Error()})
	child.kill()
}

func (in *reader) frame(ctx context.Context, f *frame) error {
	switch {
	case f.kind == kindAck: // we never wait for one
	case f.kind == kindCancel:
		in.asked.cancel(f.id)
	case f.is(flagFirst):
		return in.begin(ctx, f)
	default:
		return in.proceed(f)
	}
	return nil
}

func (in *reader) proceed(f *frame) error {
	key := messageKey{f.kind, f.id}
	body := in.partial[key]
	if !body.add(f.data) {
		return broken("more than %d fragments ahead of their acknowledgement", window)
	}
	if f.is(flagLast) {
		body.end()
		delete(in.partial, key)
	}
	return nil
}

// begin starts whoever handles the message.
func (in *reader) begin(ctx context.Context, f *frame) error {
	if f.kind == kindHypha && !f.fragmented() {
		return in.outbox.push(ctx, in.message(f))
	}
	if f.kind == kindControl && !f.fragmented() {
		in.take(f.data)
		return nil
	}
	body := in.body(f)
	switch f.kind {
	case kindControl:
		in.workers.Go(func() { in.takeLarge(body) })
	case kindHypha:
		m := in.message(f)
		m.Data, m.Reader, m.Size = nil, body, f.size
		in.workers.Go(func() {
			defer body.abandon()
			in.outbox.sendLarge(ctx, m)
		})
	case kindCall:
		in.asked.begin(ctx, &in.workers, in.child.socket, f, body)
	case kindResult:
		in.served.answer(f, body)
	default: // of a later version
		body.abandon()
	}
	return nil
}

func (in *reader) message(f *frame) *link.Message {
	return &link.Message{Replica: in.assign.Tag, Call: string(f.head), Ends: f.is(flagEnds), Data: f.data}
}

// body makes a Reader of the message; when it is fragmented, its later frames are added to it.
func (in *reader) body(f *frame) *inbound {
	done := func([]byte) {}
	if f.fragmented() {
		socket, ack := in.child.socket, appendBare(nil, kindAck, f.id, f.kind)
		done = func(data []byte) {
			socket.post(ack)
			socket.buffers.put(data)
		}
	}
	body := newInbound(f.size, done)
	body.add(f.data)
	if f.fragmented() {
		in.partial[messageKey{f.kind, f.id}] = body
	} else {
		body.end()
	}
	return body
}

func (in *reader) takeLarge(body *inbound) {
	defer body.abandon()
	if data, err := io.ReadAll(body); err == nil { // else Python has ended
		in.take(data)
	}
}
