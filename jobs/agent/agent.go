// Package agent is what runs inside an allocation: it dials the controller, starts the application's Python as a child,
// and carries messages, calls, logs and events between the two.
//
// Its main type is Agent. cmd/bioengine-agent alone imports it. It knows the link and the runtime's socket; what the
// messages hold it does not look into.
package agent

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	defaultOrphan = 30 * time.Minute
	maxReplicas   = 64 // of one allocation; more are not started
)

// ErrEnded is the end of a job whose replicas have ended by themselves.
var ErrEnded = errors.New("the replica has ended")

// Exit codes of the agent's program, as the batch system shows them; 2 is a wrong command line.
const (
	ExitFailed  = 1 // the replica ended by itself, or the agent could not start
	ExitOrphan  = 3 // no controller for the orphan limit
	ExitRefused = 4 // the controller does not want this job
)

// ExitCode is the exit code for what Run returned.
func ExitCode(err error) int {
	var refusal *link.Refusal
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrOrphan):
		return ExitOrphan
	case errors.As(err, &refusal):
		return ExitRefused
	}
	return ExitFailed
}

// Config is what the command line gives. Zero durations mean the defaults.
type Config struct {
	AllocationDir string // holds allocation.json and the token
	EndpointDir   string // holds endpoint.json
	Python        string // the interpreter, at least 3.11
	WorkDir       string // for the runtime's files; "": the system's temporary folder
	Version       string
	Orphan        time.Duration // without a controller for as long the job ends; default 30 min
	Timing        link.Timing
	Log           *zap.Logger
}

// Agent is the life of one job.
type Agent struct {
	config   Config
	log      *zap.Logger
	identity link.Identity
	scratch  string // our own folder, removed at the end: the runtime's files and a home for replicas without one
	uplink   *uplink

	work    context.Context // ends when everything is to be left
	running sync.WaitGroup  // replicas
	stop    signal          // the controller wants the job to end
	ended   signal          // all replicas of a set that was not empty have ended by themselves

	// The following fields are guarded by uplink.
	replicas map[string]*replica // by tag
	alive    int                 // replicas that have not ended
	closing  bool                // no replica starts any more
}

// Run does the job: it returns nil after the controller's stop or a drain, which the end of ctx begins, and otherwise
// why the job ended: ErrEnded, ErrOrphan, a *link.Refusal, or what kept it from starting. Protect comes before it.
func Run(ctx context.Context, config Config) error {
	if config.Orphan == 0 {
		config.Orphan = defaultOrphan
	}
	about, identity, err := readAllocation(config.AllocationDir)
	if err != nil {
		return err
	}
	scratch, err := unpack(config.WorkDir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	a := &Agent{
		config: config, identity: identity, scratch: scratch, uplink: newUplink(),
		log:  config.Log.With(zap.String("app", about.Application), zap.String("allocation", about.Allocation)),
		stop: newSignal(), ended: newSignal(), replicas: map[string]*replica{},
	}
	return a.run(ctx)
}

func (a *Agent) run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.Background())
	defer cancel()
	a.work = work
	lost := make(chan error, 1)
	var keeping sync.WaitGroup
	keeping.Go(func() {
		lost <- keeper{a.connect, a.config.Orphan, a.log}.run(work)
		a.uplink.over.give()
	})
	err := a.untilEnd(ctx, lost)
	a.log.Info("the job ends", zap.NamedError("because", err))
	a.stopReplicas()
	a.running.Wait()
	a.sayLast(err)
	cancel()
	keeping.Wait()
	return err
}

// untilEnd waits for a reason to end the job.
func (a *Agent) untilEnd(ctx context.Context, lost <-chan error) error {
	select {
	case <-ctx.Done():
		a.drain()
		return nil
	case <-a.stop.c:
		return nil
	case err := <-lost:
		return err
	case <-a.ended.c:
		return ErrEnded
	}
}

// sayLast lets the controller hear how the replicas ended, unless there is no controller.
func (a *Agent) sayLast(err error) {
	limit := lastWords
	if errors.Is(err, ErrEnded) {
		limit = tellTime
	} else if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(a.work, limit)
	defer cancel()
	if err := a.uplink.told(ctx); err != nil {
		a.log.Warn("the controller was not told how the replicas ended", zap.Error(err))
	}
}

// state is what a greeting tells; the caller holds the uplink's lock.
func (a *Agent) state() []link.Live {
	live := make([]link.Live, 0, len(a.replicas))
	for _, r := range a.replicas {
		live = append(live, r.describe())
	}
	return live
}

// start starts a replica unless the agent has it already or is closing.
func (a *Agent) start(assign link.Assign) {
	a.uplink.mu.Lock()
	defer a.uplink.mu.Unlock()
	if a.replicas[assign.Tag] != nil || a.closing {
		return
	}
	if len(a.replicas) >= maxReplicas {
		a.log.Error("too many replicas for one job", zap.String("replica", assign.Tag))
		return
	}
	r := newReplica(assign, a.uplink, a.log)
	a.replicas[assign.Tag] = r
	a.alive++
	a.running.Go(func() {
		r.run(a.work, a.config.Python, a.scratch)
		a.uplink.mu.Lock()
		defer a.uplink.mu.Unlock()
		if a.alive--; a.alive == 0 && !a.closing {
			a.closing = true
			a.ended.give()
		}
	})
}

// find returns the replica with the tag, or nil.
func (a *Agent) find(tag string) *replica {
	a.uplink.mu.Lock()
	defer a.uplink.mu.Unlock()
	return a.replicas[tag]
}

// all returns the replicas; no further one starts when closing is given.
func (a *Agent) all(closing bool) []*replica {
	a.uplink.mu.Lock()
	defer a.uplink.mu.Unlock()
	a.closing = a.closing || closing
	return slices.Collect(maps.Values(a.replicas))
}
