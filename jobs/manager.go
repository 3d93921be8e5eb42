package jobs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/store"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

// Manager runs applications on a batch system. Make it with New, tell it who
// listens, then call Run; the other methods wait until Run serves them.
type Manager struct {
	cfg       Config
	store     *store.Store
	scheduler scheduler.Scheduler
	log       *zap.Logger
	listener  Listener
	events    chan func() // unbuffered: a sender waits for the loop, so nothing piles up
	stopped   chan struct{}
	work      errgroup.Group // orders to the batch system
	workCtx   context.Context
	places    chan struct{} // one per order that may run at a time

	routes     sync.Map // application "\x00" deployment -> *router
	partitions partitionCache
	logs       *logFiles
	counters   Counters

	// The event loop owns the following fields.
	apps      map[string]*application
	byAlloc   map[string]*replica
	nextTag   int64
	nextPoll  time.Time
	polling   bool
	pollWorks bool // the last poll was answered
	startedAt time.Time
}

// Counters are read by benchmarks and the status.
type Counters struct {
	Polls, Submissions, HandleCalls atomic.Int64
}

// maxOrders bounds the calls to the batch system that run at the same time.
const maxOrders = 4

// New makes a manager for the applications in st.
func New(cfg Config, st *store.Store, sch scheduler.Scheduler, log *zap.Logger) *Manager {
	cfg = cfg.withDefaults()
	return &Manager{
		cfg: cfg, store: st, scheduler: sch, log: log,
		events: make(chan func()), stopped: make(chan struct{}),
		places:  make(chan struct{}, maxOrders),
		logs:    newLogFiles(cfg),
		apps:    map[string]*application{},
		byAlloc: map[string]*replica{},
	}
}

// Listen sets who is told of replicas. Call it before Run.
func (m *Manager) Listen(l Listener) { m.listener = l }

// Load reads the stored applications. Call it once, before Run, so that
// Applications answers.
func (m *Manager) Load(ctx context.Context) error {
	for _, dir := range []string{m.cfg.allocationsDir(), m.cfg.logsDir(), m.cfg.endpointDir(), m.cfg.AppsDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make a directory of the state: %w", err)
		}
	}
	return m.recover(ctx)
}

// Run serves agents on l and owns the life of all replicas until ctx ends.
// Jobs are left running: the next controller finds them again.
func (m *Manager) Run(ctx context.Context, l net.Listener) error {
	defer close(m.stopped)
	certificate, fingerprint, err := link.LoadOrCreateKey(m.cfg.keyFile())
	if err != nil {
		return fmt.Errorf("read the link's key: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	m.workCtx = ctx
	server := link.NewServer(link.ServerConfig{
		Certificate: certificate, Gate: m, Accept: m.accept, Log: m.log.Named("link"),
	})
	g.Go(func() error { return server.Serve(ctx, l) })
	g.Go(func() error { return m.loop(ctx) })
	if err := m.announce(fingerprint); err != nil {
		return err
	}
	err = g.Wait()
	_ = m.work.Wait() // orders report to a loop that has ended; they only need to be over
	m.logs.close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// announce tells agents where and who we are; they read it before each dial.
func (m *Manager) announce(fingerprint string) error {
	err := link.WriteEndpoint(m.cfg.endpointDir(), link.Endpoint{
		Addresses: m.cfg.Addresses, Fingerprint: fingerprint,
		Epoch: m.store.Epoch(), Instance: m.store.Instance(),
	})
	if err != nil {
		return fmt.Errorf("write the endpoint file: %w", err)
	}
	return nil
}

var _ link.Gate = (*Manager)(nil)
