package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// FromReplica takes one message from a replica and sends it on if the replica may (replica link 4). It returns when the
// message is written: the Hypha connection's slowness is the replica's. Before Run it waits. Callers see to it that
// SetReplicas has returned for the attachment through which the message came.
func (r *Relay) FromReplica(ctx context.Context, m *link.Message) {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return
	}
	h, extra, err := open(m)
	if err != nil {
		r.counters.drop(dropMalformed)
		r.log.Debug("frame from replica not readable", zap.String("replica", m.Replica), zap.Error(err))
		return
	}
	// The server writes these three; what a replica writes there is nobody's business.
	h.From, h.Workspace, h.User = "", "", nil
	if !strings.Contains(h.To, "/") {
		workspace, _, _ := strings.Cut(r.client, "/")
		h.To = workspace + "/" + h.To
	}
	want, session := read(h.Method)
	switch {
	case h.Type != "method":
		r.counters.drop(dropMalformed)
	case want == resolve || want == reject:
		r.answer(ctx, m.Replica, session, h, extra)
	case want == heartbeat:
		r.heartbeat(ctx, m.Replica, session, h, extra)
	case want == callback:
		r.callBack(ctx, m.Replica, h, extra)
	case want == service:
		r.counters.drop(dropOutward)
		r.refuseReplica(m.Replica, h, errOutwardDenied)
	default:
		r.counters.drop(dropMalformed)
	}
}

// open splits a message into header and payload; of a large one it reads no more than headBytes.
func open(m *link.Message) (hypha.Header, hypha.Payload, error) {
	if m.Reader == nil {
		h, n, err := hypha.ParseHeader(m.Data)
		if err != nil {
			return h, hypha.Payload{}, err
		}
		return h, hypha.Payload{Data: m.Data[n:]}, nil
	}
	front := make([]byte, min(m.Size, headBytes))
	if _, err := io.ReadFull(m.Reader, front); err != nil {
		return hypha.Header{}, hypha.Payload{}, fmt.Errorf("read front of message: %w", err)
	}
	h, n, err := hypha.ParseHeader(front)
	if err != nil {
		return h, hypha.Payload{}, err
	}
	rest := io.MultiReader(bytes.NewReader(front[n:]), m.Reader)
	return h, hypha.Payload{Reader: rest, Size: m.Size - int64(n)}, nil
}

// answer passes the answer of an open call on. A small one settles the call at once; during a large one the call stays
// in the table, without its slots, so that it ends once even if the answer breaks off.
func (r *Relay) answer(ctx context.Context, tag, session string, h hypha.Header, extra hypha.Payload) {
	c := r.takeAnswer(tag, session, h, extra.Reader == nil)
	if c == nil {
		r.counters.drop(dropLate)
		return
	}
	if extra.Reader == nil {
		// In memory: the link through which it came may end, Run's context may not.
		if err := r.send(r.life, h, extra); err != nil {
			r.answerFailed(c, err)
		}
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !r.watch(c, cancel) {
		r.counters.drop(dropLate)
		return
	}
	r.answered(c, r.send(ctx, h, extra))
}

// takeAnswer finds the call that a replica answers and marks it; nil when it has no such call.
func (r *Relay) takeAnswer(tag, session string, h hypha.Header, whole bool) *call {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.openIn(tag, h.To, session)
	if c == nil {
		return nil
	}
	now := time.Now()
	if whole {
		r.settle(c, now)
		r.counters.answered.Add(1)
	} else {
		c.state = callAnswering
		r.freeSlots(c)
	}
	r.admit(now)
	return c
}

// openIn is the call that a peer has open in a replica under a session; nil when there is none, or it is being answered.
func (r *Relay) openIn(tag, peer, session string) *call {
	var space [192]byte // a key of usual length needs no allocation
	key := append(append(append(space[:0], peer...), 0), session...)
	c := r.open[string(key)]
	if c == nil || c.state != callSent || c.replica.tag != tag {
		return nil
	}
	return c
}

// answered ends a call whose large answer was sent, or broke off.
func (r *Relay) answered(c *call, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.abort = nil
	switch now := time.Now(); {
	case c.state == callEnded: // the caller has left
	case err == nil:
		r.settle(c, now)
		r.counters.answered.Add(1)
	case c.cause != nil:
		r.fail(c, c.cause, now)
	default:
		r.log.Info("answer not sent", zap.String("to", c.caller.From), zap.Error(err))
		r.fail(c, answerError(err), now)
	}
	r.reportClosed()
}

// answerFailed tells the caller of a call that has been settled.
func (r *Relay) answerFailed(c *call, err error) {
	if errors.Is(err, hypha.ErrNotConnected) || errors.Is(err, hypha.ErrClosed) {
		return // the server has told the caller
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.push(answer{to: c.caller, err: answerError(err)})
}

func answerError(err error) error {
	if errors.Is(err, hypha.ErrTooLarge) {
		return hypha.Errorf("RuntimeError", "the result exceeds the limit of %d MiB per call", link.MaxMessage>>20)
	}
	return errAnswerLost
}

// heartbeat passes a replica's heartbeat on if the relay does not send them itself.
func (r *Relay) heartbeat(ctx context.Context, tag, session string, h hypha.Header, extra hypha.Payload) {
	r.mu.Lock()
	c := r.openIn(tag, h.To, session)
	if c != nil {
		c.seen = time.Now()
	}
	r.mu.Unlock()
	switch {
	case c == nil:
		r.counters.drop(dropLate)
	case c.known:
		r.counters.drop(dropHeartbeat)
	default:
		r.send(ctx, h, extra)
	}
}

// callBack passes a replica's call of something that its caller handed over, if that caller has or lately had a call in
// this replica, and the answer will come back to this replica.
func (r *Relay) callBack(ctx context.Context, tag string, h hypha.Header, extra hypha.Payload) {
	if h.Session != "" && !ownSession(tag, h.Session) {
		r.counters.drop(dropForged)
		return
	}
	r.mu.Lock()
	rep := r.replicas[tag]
	known := r.contacts.known(pair{tag, h.To}, time.Now())
	r.mu.Unlock()
	if rep == nil {
		r.counters.drop(dropFenced)
		return
	}
	if !known {
		r.counters.drop(dropStranger)
		r.refuseReplica(tag, h, errNoSession(hypha.Header{From: r.client, Method: h.Method}))
		return
	}
	// While Hypha is away the frame waits; not for ever, since the link's own end waits for this call.
	ctx, cancel := context.WithTimeout(ctx, callbackWait+time.Duration(extra.Len())*time.Second/callbackRate)
	defer cancel()
	if err := r.send(ctx, h, extra); err != nil {
		r.refuseReplica(tag, h, errCallbackLost)
	}
}

// send puts a replica's frame on the wire.
func (r *Relay) send(ctx context.Context, h hypha.Header, extra hypha.Payload) error {
	if err := r.up.Send(ctx, h, extra); err != nil {
		r.counters.drop(dropUnsent)
		return err
	}
	r.counters.out.Add(1)
	return nil
}
