package jobs

import (
	"context"
	"math/rand/v2"
	"time"
)

// loop is the one goroutine that owns applications and replicas. It does no
// slow work: orders to the batch system run beside it and report back.
func (m *Manager) loop(ctx context.Context) error {
	m.startedAt = time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event := <-m.events:
			event()
		case <-timer.C:
			m.tick(ctx, time.Now())
		}
		timer.Reset(max(0, time.Until(m.nextDeadline())))
	}
}

// do runs f on the event loop and waits for it.
func (m *Manager) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case m.events <- func() { f(); close(done) }:
		<-done // the loop finishes each event it took
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.stopped:
		return errStopped
	}
}

// later runs work beside the loop and reports on the loop afterwards. Only the
// loop calls it, at most once per replica at a time, so that the number of
// waiting orders is bounded by the number of replicas.
func (m *Manager) later(work func(ctx context.Context), report func()) {
	m.work.Go(func() error {
		select {
		case m.places <- struct{}{}:
		case <-m.workCtx.Done():
			return nil
		}
		work(m.workCtx)
		<-m.places
		_ = m.do(m.workCtx, report) // ended loop: the next controller finds out by itself
		return nil
	})
}

// tick does what is due.
func (m *Manager) tick(ctx context.Context, now time.Time) {
	if !m.polling && !now.Before(m.nextPoll) {
		m.poll()
	}
	for _, a := range m.apps {
		if !now.Before(a.due) {
			m.step(a, now)
		}
	}
}

// nextDeadline is when tick has something to do.
func (m *Manager) nextDeadline() time.Time {
	next := time.Now().Add(m.cfg.Times.PollQuiet)
	if !m.polling && m.nextPoll.Before(next) {
		next = m.nextPoll
	}
	for _, a := range m.apps {
		if a.due.Before(next) {
			next = a.due
		}
	}
	return next
}

// pollSoon asks for a look at the batch system within d.
func (m *Manager) pollSoon(d time.Duration) {
	if at := time.Now().Add(d); at.Before(m.nextPoll) {
		m.nextPoll = at
	}
}

// jitter spreads d by ±20 %, so that many controllers do not call at once.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
