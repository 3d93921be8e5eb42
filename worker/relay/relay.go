package relay

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// Policy says who may call which method of the application.
type Policy interface {
	// Allow returns nil, or the error that the caller reads (a *hypha.Error of class PermissionError). It is called on
	// the Hypha connection's read loop and must not block, nor change the user, which is shared.
	Allow(user hypha.User, method string) error
}

// Sender is the controller's end of one replica's link; *link.Conn implements it. Both calls may block until the link
// has room and return an error once it ended.
type Sender interface {
	Send(ctx context.Context, m *link.Message) error
	Control(ctx context.Context, c link.Control) error
}

// Answerer settles or keeps alive a caller's promise, knowing the header of its call only.
type Answerer interface {
	Resolve(ctx context.Context, to hypha.Header, value any) error
	Reject(ctx context.Context, to hypha.Header, err error) error
	Heartbeat(ctx context.Context, to hypha.Header) error
}

// Upstream is the application's Hypha connection; *hypha.Client implements it. Calls block while the connection's
// message budget is used up.
type Upstream interface {
	Answerer
	Send(ctx context.Context, h hypha.Header, p hypha.Payload) error
}

// Config describes one application to its relay.
type Config struct {
	// App is the application's id, which is its service id too: `services.<App>.*` are its calls.
	App string
	// Client is the address of the application's Hypha connection, "workspace/client".
	Client string
	// MaxOngoing is how many calls of the application run at once, over all replicas (`max_ongoing_requests` of
	// run_application).
	MaxOngoing int
	Policy     Policy
	// Members are answered here instead of in a replica, without authorisation, by name; they get no arguments and
	// must not block. get_load is always there.
	Members map[string]func() any
	Limits  Limits
	Log     *zap.Logger
}

// Relay carries the frames of one application. Its methods may be called from any goroutine; Run, FromReplica and Close
// block, the others do not.
type Relay struct {
	app, client string
	policy      Policy
	members     map[string]func() any
	limits      Limits
	log         *zap.Logger
	counters    counters
	users       users
	held        atomic.Int64  // bytes of payloads in memory, in line or in outboxes
	ready       chan struct{} // closed once the following two are set, by Run
	up          Upstream
	life        context.Context // of Run
	flushed     chan struct{}   // closed once Close's answers are on their way

	answerWake chan struct{} // holds one token when answers were added
	agendaWake chan struct{} // holds one token when an alarm is due before the keeper would look

	mu sync.Mutex // guards the following fields
	// table of calls
	open     map[string]*call   // accepted and not yet ended, by key
	waiting  []*call            // those without a replica, in order of arrival
	callers  map[string]*caller // peers with waiting or session calls
	accepted uint64             // calls so far
	sessions int                // open calls of objects in replicas
	maximum  int                // calls of the application at once
	ongoing  int                // calls that hold one of these slots
	// replicas
	replicas  map[string]*replica // by tag
	appeared  uint64              // replicas so far
	choice    choice              // those that can take a call now
	contacts  contacts
	ended     memory
	drought   drought
	unhealthy error // what callers read while no replica is usable; nil: they wait
	// outgoing
	agenda  agenda
	answers queue[answer]
	// life
	closed   bool
	reported bool            // the queue of answers holds its end
	ctx      context.Context // of Run; nil before and after
	group    sync.WaitGroup  // writers
}

var _ hypha.Router = (*Relay)(nil)

// New makes the relay of an application. It takes frames at once; they leave when Run runs and replicas are there.
func New(c Config) (*Relay, error) {
	if c.App == "" || c.MaxOngoing < 1 || c.Policy == nil {
		return nil, fmt.Errorf("relay: application %q needs an id, a policy and at least one slot", c.App)
	}
	if workspace, client, ok := strings.Cut(c.Client, "/"); !ok || workspace == "" || client == "" {
		return nil, fmt.Errorf("relay of %s: client %q is not of the form workspace/client", c.App, c.Client)
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	limits := c.Limits.withDefaults()
	r := &Relay{
		app: c.App, client: c.Client, policy: c.Policy, members: c.Members, limits: limits,
		log:        c.Log.With(zap.String("app", c.App)),
		answerWake: make(chan struct{}, 1),
		agendaWake: make(chan struct{}, 1),
		ready:      make(chan struct{}),
		flushed:    make(chan struct{}),
		open:       make(map[string]*call),
		callers:    make(map[string]*caller),
		maximum:    c.MaxOngoing,
		replicas:   make(map[string]*replica),
		contacts:   newContacts(limits.Contacts, limits.ContactFor),
		ended:      newMemory(limits.Remembered),
	}
	r.drought = drought{active: true, since: time.Now()}
	r.drought.alarm.owner = &r.drought
	return r, nil
}

// Run sends what the relay has to send until ctx ends, and returns when its goroutines have. Calls that are open then
// stay unanswered: replicas may outlive the controller, and Hypha tells the callers that it has gone.
func (r *Relay) Run(ctx context.Context, up Upstream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := r.start(ctx, up); err != nil {
		return err
	}
	var own sync.WaitGroup
	own.Go(func() { r.sendAnswers(ctx, up) })
	own.Go(func() { r.keepAlive(ctx, up) })
	<-ctx.Done()
	r.mu.Lock()
	r.ctx = nil // no writer starts from here on
	r.mu.Unlock()
	own.Wait()
	r.group.Wait()
	return nil
}

func (r *Relay) start(ctx context.Context, up Upstream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up != nil {
		return fmt.Errorf("relay of %s ran already", r.app)
	}
	r.ctx, r.life, r.up = ctx, ctx, up
	close(r.ready)
	for _, rep := range r.replicas {
		r.startWriter(rep)
	}
	return nil
}

// Load tells how many calls of the application hold one of its slots, and how many slots there are.
func (r *Relay) Load() (ongoing, capacity int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ongoing, r.maximum
}

// SetUnhealthy says that the application cannot be expected to serve soon: while no replica is usable, waiting and new
// calls are rejected with the reason at once. Nil lets them wait again, for Limits.NoReplica.
func (r *Relay) SetUnhealthy(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unhealthy = reason
	r.failUnservable(time.Now())
}
