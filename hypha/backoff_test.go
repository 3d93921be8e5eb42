package hypha

import (
	"testing"
	"time"
)

func TestBackoff_doubles_up_to_a_minute(t *testing.T) {
	b := newBackoff(time.Second)
	b.random = func() float64 { return 0.5 }
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if got := b.failed(KindNetwork); got != want*time.Second {
			t.Errorf("failure %d waits %s, want %ds", i+1, got, want)
		}
	}
	for range 100 {
		b.failed(KindNetwork)
	}
	if got := b.lost(time.Hour); got != 0 {
		t.Errorf("after a healthy connection it waits %s", got)
	}
	if got := b.failed(KindNetwork); got != time.Second {
		t.Errorf("a healthy connection did not reset: %s", got)
	}
}

func TestBackoff_is_slow_where_haste_harms(t *testing.T) {
	for _, kind := range []Kind{KindCredentials, KindDuplicate, KindDenied} {
		if got := newBackoff(time.Second).failed(kind); got < backoffSlow {
			t.Errorf("%s waits %s", kind, got)
		}
	}
}

func TestBackoff_escalates_flaps(t *testing.T) {
	b := newBackoff(time.Second)
	b.random = func() float64 { return 0.5 }
	for i, want := range []time.Duration{0, 1, 2, 4, 8} {
		if got := b.lost(time.Second); got != want*time.Second {
			t.Errorf("flap %d waits %s, want %ds", i+1, got, want)
		}
	}
	b.lost(healthyAfter)
	if got := b.lost(0); got != 0 {
		t.Errorf("the first flap after a healthy connection waits %s", got)
	}
}

func TestBackoff_jitter_stays_within_a_tenth(t *testing.T) {
	for range 1000 {
		if got := newBackoff(time.Second).failed(KindNetwork); got < 900*time.Millisecond || got > 1100*time.Millisecond {
			t.Fatalf("waits %s", got)
		}
	}
}
