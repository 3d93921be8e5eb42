package relay

import (
	"context"
	"time"
)

// Close ends the application's calls and takes no more: those that no replica has begun are told so in words on which
// callers try again, the others get ReplicaLost. It returns when the answers are on their way or ctx ends; Run goes on
// until its own context ends.
func (r *Relay) Close(ctx context.Context) error {
	running := r.shut(time.Now())
	if running == nil {
		return nil
	}
	select {
	case <-r.flushed:
		return nil
	case <-running.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shut ends all calls; running is Run's context.
func (r *Relay) shut(now time.Time) (running context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return r.ctx
	}
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
	r.reportClosed()
	return r.ctx
}

// reportClosed puts the end of all answers into the queue once the last call of a closed relay has ended.
func (r *Relay) reportClosed() {
	if r.closed && len(r.open) == 0 && !r.reported {
		r.reported = true
		r.push(answer{sent: r.flushed})
	}
}
