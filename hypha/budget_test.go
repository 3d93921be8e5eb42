package hypha

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

func TestBudget_lets_a_burst_pass_and_then_its_rate(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBudget(10, 5, now)
	for i := range 5 {
		if wait := b.take(now); wait != 0 {
			t.Fatalf("message %d of the burst waits %s", i, wait)
		}
	}
	sent := 0
	for end := now.Add(10 * time.Second); now.Before(end); {
		wait := b.take(now)
		if wait == 0 {
			sent++
			continue
		}
		if wait > 101*time.Millisecond {
			t.Fatalf("waits %s at 10 messages/s", wait)
		}
		now = now.Add(wait)
	}
	if sent < 99 || sent > 101 {
		t.Errorf("%d messages in 10 s at 10/s", sent)
	}
	if now = now.Add(time.Hour); b.take(now) != 0 || b.tokens > 5 {
		t.Error("an hour of silence gave more than one burst")
	}
}

// TestRate_limit_is_never_hit: a burst of calls far above the server's limit is slowed down, and nobody is cut off.
func TestRate_limit_is_never_hit(t *testing.T) {
	t.Parallel()
	h := startOwnHypha(t, bed.HyphaConfig{Env: map[string]string{"HYPHA_WS_MSG_RATE_LIMIT": "200", "HYPHA_WS_MSG_BURST_LIMIT": "400"}})
	config := func() Config {
		config := account(t, h, "fast")
		config.Limits.MessageBurst = 360
		return config
	}
	provider, caller := mustConnect(t, config()), mustConnect(t, config())
	if err := provider.Register(testContext(t), echoService("echo")); err != nil {
		t.Fatal(err)
	}
	const calls = 1200
	var wait sync.WaitGroup
	var failed atomic.Int64
	start := time.Now()
	for range 50 {
		wait.Go(func() {
			for i := range calls / 50 {
				got, err := caller.Call(testContext(t), provider.Address(), "services.echo.echo", i)
				if err != nil || got != int64(i) {
					failed.Add(1)
					t.Logf("%v, %v", got, err)
				}
			}
		})
	}
	wait.Wait()
	took := time.Since(start)
	if failed.Load() > 0 || provider.Stats().Reconnects > 0 || caller.Stats().Reconnects > 0 {
		t.Errorf("%d of %d calls failed; %+v", failed.Load(), calls, provider.Stats())
	}
	if rate := float64(calls-400) / took.Seconds(); rate > 200 {
		t.Errorf("%d calls took %s: the server's limit was not in force", calls, took)
	}
	if n := caller.sessions.count() + provider.sessions.count(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}
