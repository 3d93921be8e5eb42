package agent

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	defaultHealthPeriod  = 10 * time.Second
	defaultHealthTimeout = 30 * time.Second
)

// health asks a ready replica how it is, once per period. Every failed check is told, with their number in a row; the
// controller decides what three of them mean.
type health struct {
	begin   signal      // the replica is ready
	answers chan report // capacity: late answers that nobody waits for; more are dropped
}

func newHealth() *health { return &health{begin: newSignal(), answers: make(chan report, 16)} }

// answer takes Python's answer.
func (h *health) answer(m report) {
	select {
	case h.answers <- m:
	default:
	}
}

// watchHealth checks until ctx ends.
func (r *replica) watchHealth(ctx context.Context) {
	select {
	case <-r.health.begin.c:
	case <-ctx.Done():
		return
	}
	period, timeout := orDefault(r.assign.Options.HealthPeriod, defaultHealthPeriod), orDefault(r.assign.Options.HealthTimeout, defaultHealthTimeout)
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	failures := 0
	for id := uint64(1); ; id++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if r.outbox.full.Load() {
			continue // Python's answer would wait behind its messages
		}
		failures = r.judge(r.check(ctx, id, timeout), failures)
	}
}

// judge counts failures in a row and tells of them, and of their end.
func (r *replica) judge(err error, failures int) int {
	switch {
	case errors.Is(err, context.Canceled):
		return failures
	case err != nil:
		failures++
		r.log.Warn("health check failed", zap.Int("in_a_row", failures), zap.Error(err))
		r.emit(link.Control{Event: link.EventHealth, Failures: failures, Error: err.Error()})
		return failures
	case failures > 0:
		r.emit(link.Control{Event: link.EventHealth})
	}
	return 0
}

// healthError is Python's own word about its health.
type healthError string

func (e healthError) Error() string { return string(e) }

// check asks once; an answer that comes too late is a failure.
func (r *replica) check(ctx context.Context, id uint64, timeout time.Duration) error {
	r.tell(map[string]any{"type": "health", "id": id})
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	for {
		select {
		case m := <-r.health.answers:
			switch {
			case m.ID != id: // of a check that was given up
			case m.OK:
				return nil
			default:
				return healthError(m.Error)
			}
		case <-limit.C:
			return healthError("TimeoutError: the health check gave no answer within " + timeout.String())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func orDefault(s float64, otherwise time.Duration) time.Duration {
	if s <= 0 {
		return otherwise
	}
	return seconds(s)
}
