package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
)

func TestTurn(t *testing.T) {
	turn := newTurn()
	if err := turn.take(t.Context(), "deployments"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2*maxWaiting)
	var started sync.WaitGroup
	for range 2 * maxWaiting {
		started.Add(1)
		go func() {
			started.Done()
			ended <- turn.take(ctx, "deployments")
		}()
	}
	started.Wait()
	for range maxWaiting { // the others wait
		if err := <-ended; err == nil || !strings.HasPrefix(err.Error(), "RuntimeError: Too many deployments are waiting.") {
			t.Fatalf("%v", err)
		}
	}
	cancel()
	for range maxWaiting {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
	}
	turn.give()
	if err := turn.take(t.Context(), "deployments"); err != nil {
		t.Errorf("nobody has the turn, but %v", err)
	}
}
