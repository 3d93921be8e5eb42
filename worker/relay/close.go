package relay

import (
	"context"
	"time"
)

// Close ends the application's calls and takes no more: those that no replica has begun are told so in words on which
// callers try again, the others get ReplicaLost. It returns when the answers are on their way or ctx ends; Run goes on
// until its own context ends.
func (r *Relay) Close(ctx context.Context) error {
	flushed, running := r.shut(time.Now())
	if running == nil {
		return nil
	}
	select {
	case <-flushed:
		return nil
	case <-running.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shut ends all calls; flushed is closed when the answers were sent, running is Run's context.
func (r *Relay) shut(now time.Time) (flushed <-chan struct{}, running context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, c := range r.openCalls(func(*call) bool { return true }) {
		if c.state == callSent || c.state == callAnswering {
			r.fail(c, errStopped, now)
		} else {
			r.fail(c, r.errNotBegun(c.caller), now)
		}
	}
	for _, rep := range r.replicas {
		r.remove(rep, now)
	}
	done := make(chan struct{})
	r.push(answer{sent: done})
	return done, r.ctx
}
