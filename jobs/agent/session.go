package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	firstRedial = 200 * time.Millisecond
	lastRedial  = 15 * time.Second
	steadyLink  = 5 * time.Second // a link that lasted as long lets redialling begin anew
)

// ErrOrphan is the end of an agent that found no controller for the orphan limit.
var ErrOrphan = errors.New("no controller could be reached for too long")

// keeper keeps a link: it dials, and dials again when the link was lost.
type keeper struct {
	// connect dials, greets, and serves the link until it ends. attached says that the greeting succeeded.
	connect func(context.Context) (attached bool, err error)
	orphan  time.Duration
	log     *zap.Logger
}

// run keeps a link until ctx ends (nil), the controller refuses for good (*link.Refusal), or there was no controller
// for the orphan limit (ErrOrphan).
func (k keeper) run(ctx context.Context) error {
	delay, alone := firstRedial, time.Now()
	for {
		start := time.Now()
		attached, err := k.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var refusal *link.Refusal
		if errors.As(err, &refusal) && refusal.Final() {
			return err
		}
		if attached {
			alone = time.Now()
			if time.Since(start) >= steadyLink {
				delay = firstRedial
			}
		}
		if time.Since(alone) >= k.orphan {
			return fmt.Errorf("%w (%s): %w", ErrOrphan, k.orphan, err)
		}
		wait := min(jitter(delay), k.orphan-time.Since(alone))
		k.log.Info("no link", zap.Bool("attached", attached), zap.Duration("redial", wait), zap.Error(err))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		delay = min(2*delay, lastRedial)
	}
}

// jitter spreads the redials of many agents: ±50 %.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}

// connect is keeper.connect of the agent.
func (a *Agent) connect(ctx context.Context) (attached bool, err error) {
	endpoint, err := link.ReadEndpoint(a.config.EndpointDir)
	if err != nil {
		return false, err
	}
	conn, err := link.Dial(ctx, link.DialConfig{Endpoint: endpoint, Identity: a.identity, Timing: a.config.Timing, Log: a.log})
	if err != nil {
		return false, err
	}
	defer conn.Close("the job ends")
	defer a.uplink.clear()
	live, events := a.uplink.greet(a.state)
	welcome, err := conn.Greet(ctx, link.Hello{
		Version: link.Version, Allocation: a.identity.Allocation, Agent: a.config.Version, Replicas: live,
	})
	if err != nil {
		return false, err
	}
	a.identity.Token = ""
	a.uplink.set(conn)
	a.log.Info("attached to the controller", zap.String("address", conn.Remote()), zap.Int64("epoch", welcome.Epoch))
	for _, assign := range welcome.Assign {
		a.start(assign)
	}
	var workers sync.WaitGroup
	on := &session{a, conn}
	workers.Go(func() { sendEvents(ctx, conn, events) })
	workers.Go(on.interrupt)
	err = conn.Run(ctx, on)
	a.uplink.clear()
	workers.Wait()
	return true, err
}
