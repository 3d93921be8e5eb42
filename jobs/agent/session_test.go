package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

var errNobody = errors.New("connection refused")

func TestAgentWithoutControllerEndsAtTheOrphanLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, dials := time.Now(), 0
		err := keeper{
			connect: func(context.Context) (bool, error) { dials++; return false, errNobody },
			orphan:  30 * time.Minute,
			log:     zap.NewNop(),
		}.run(t.Context())
		if took := time.Since(start); !errors.Is(err, ErrOrphan) || !errors.Is(err, errNobody) || took != 30*time.Minute {
			t.Fatalf("ended with %v after %v", err, took)
		}
		if dials < 80 || dials > 240 { // every 15 s ± 50 %
			t.Fatalf("%d dials in 30 minutes", dials)
		}
	})
}

func TestRedialIsQuickAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		ctx, cancel := context.WithCancel(t.Context())
		lifetime := time.Hour
		_ = keeper{
			connect: func(context.Context) (bool, error) {
				times = append(times, time.Now())
				switch len(times) {
				case 2: // a link that lives long, and is then lost
					time.Sleep(lifetime)
					return true, errNobody
				case 12:
					cancel()
				}
				return false, errNobody
			},
			orphan: 30 * time.Minute,
			log:    zap.NewNop(),
		}.run(ctx)
		if len(times) != 12 {
			t.Fatalf("%d dials", len(times))
		}
		for i, want := range []time.Duration{0: firstRedial, 1: lifetime + firstRedial, 2: 2 * firstRedial, 3: 4 * firstRedial, 10: lastRedial} {
			got := times[i+1].Sub(times[i])
			if want != 0 && (got < want-want/2 && i != 1 || got > want+want/2) {
				t.Errorf("dial %d came after %v, want about %v", i+1, got, want)
			}
		}
	})
}

func TestLiveLinkIsNoOrphan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		err := keeper{
			connect: func(context.Context) (bool, error) {
				if dials++; dials == 3 {
					return false, &link.Refusal{Code: link.CodeSuperseded}
				}
				time.Sleep(time.Hour) // longer than the limit, but attached
				return true, errNobody
			},
			orphan: 30 * time.Minute,
			log:    zap.NewNop(),
		}.run(t.Context())
		var refusal *link.Refusal
		if !errors.As(err, &refusal) {
			t.Fatalf("ended with %v", err)
		}
	})
}
