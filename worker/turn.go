package worker

import (
	"context"
	"sync/atomic"
)

// maxWaiting bounds those who wait for one turn; more are refused at once.
const maxWaiting = 64

// turn lets one caller at a time do something.
type turn struct {
	slot    chan struct{}
	waiting atomic.Int32
}

func newTurn() *turn { return &turn{slot: make(chan struct{}, 1)} }

// take waits for the turn; what names the crowd in the refusal.
func (t *turn) take(ctx context.Context, what string) error {
	defer t.waiting.Add(-1)
	if t.waiting.Add(1) > maxWaiting {
		return runtimeError("Too many %s are waiting. Please try again in a moment.", what)
	}
	select {
	case t.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) give() { <-t.slot }
