package agent

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	lastWords = 5 * time.Second // for what an ended child, or a stopped job, has left to say
	tellTime  = time.Minute     // the same, when the child ended by itself and the controller may be away
)

// replica is one running copy of a deployment: a Python child, and what connects it with the link.
type replica struct {
	assign link.Assign
	uplink *uplink
	log    *zap.Logger
	calls  *calls
	outbox *outbox
	output *output
	health *health
	asked  *asked
	served *served

	workers sync.WaitGroup // goroutines that end with the child
	drained signal         // Python's word
	silent  signal         // nothing comes from Python any more
	left    signal         // the replica is to stop
	gone    signal         // the child has ended and all of it is told

	// The following fields are guarded by uplink.
	live  link.Live
	since time.Time // start of live.Step
	child *child    // nil before it runs
}

// signal is an event that happens once.
type signal struct {
	c    chan struct{}
	once *sync.Once
}

func newSignal() signal { return signal{make(chan struct{}), new(sync.Once)} }

func (s signal) give() { s.once.Do(func() { close(s.c) }) }

func (s signal) given() bool {
	select {
	case <-s.c:
		return true
	default:
		return false
	}
}

func newReplica(assign link.Assign, u *uplink, log *zap.Logger) *replica {
	log = log.With(zap.String("replica", assign.Tag))
	calls := newCalls()
	return &replica{
		assign: assign, uplink: u, log: log, calls: calls,
		outbox: newOutbox(u, calls, log), output: newOutput(assign.Tag, u),
		health: newHealth(), asked: newAsked(u, assign.Tag, log), served: newServed(),
		drained: newSignal(), silent: newSignal(), left: newSignal(), gone: newSignal(),
		live:  link.Live{Tag: assign.Tag, State: link.StateStarting, Step: stepPython, Steps: map[string]float64{}},
		since: time.Now(),
	}
}

// run is the life of the replica: it returns when the child has ended and that is told. The end of ctx kills the child.
func (r *replica) run(ctx context.Context, python, scratch string) {
	defer r.gone.give()
	child, err := r.launch(python, scratch)
	if err != nil {
		r.silent.give()
		r.notStarted(err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reading, logging := r.work(ctx, child)
	select {
	case <-child.done:
	case <-ctx.Done():
		child.kill()
		<-child.done
	}
	child.sweep()
	within(lastWords, reading.Wait, func() {
		child.socket.close()
		r.outbox.refuse()
	})
	r.silent.give()
	within(lastWords, logging.Wait, child.closeOutput)
	child.closeOutput()
	r.sayLast(ctx)
	child.socket.close()
	r.exited(child)
	cancel()
	r.workers.Wait()
}

// work starts the goroutines that serve the child, and sends it its assignment.
func (r *replica) work(ctx context.Context, child *child) (reading, logging *sync.WaitGroup) {
	reading, logging = new(sync.WaitGroup), new(sync.WaitGroup)
	r.workers.Go(child.socket.writePosted)
	r.workers.Go(func() { r.outbox.run(ctx) })
	r.workers.Go(func() { r.output.run(ctx) })
	r.workers.Go(func() { r.watchHealth(ctx) })
	r.workers.Go(func() { r.obeyStop(child) })
	reading.Go(func() { r.read(ctx, child) })
	logging.Go(func() { r.output.read(link.Stdout, child.stdout) })
	logging.Go(func() { r.output.read(link.Stderr, child.stderr) })
	r.log.Info("Python runs", zap.Int("pid", child.pid))
	r.tell(struct {
		Type string `json:"type"`
		link.Assign
	}{"start", r.assign})
	return reading, logging
}

// sayLast sends the messages and the log lines that the child has left behind.
func (r *replica) sayLast(ctx context.Context) {
	limit := tellTime
	if r.left.given() {
		limit = lastWords
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r.outbox.flush(ctx)
	r.output.finish(ctx)
}

// within waits for wait to return; after the limit it calls force, which must make it return.
func within(limit time.Duration, wait, force func()) {
	timer := time.AfterFunc(limit, force)
	defer timer.Stop()
	wait()
}

// current returns the child that runs, or nil.
func (r *replica) current() *child {
	r.uplink.mu.Lock()
	defer r.uplink.mu.Unlock()
	return r.child
}

// tell sends a control message to Python, in order with the others. It never blocks.
func (r *replica) tell(v any) {
	child := r.current()
	if child == nil {
		return
	}
	data, err := json.Marshal(v)
	if err != nil {
		r.log.Error("a control message has no JSON", zap.Error(err))
		return
	}
	child.socket.post(appendMessage(nil, kindControl, 0, child.socket.newID(kindControl), nil, data))
}

// deliver passes a Hypha message to Python; it blocks while Python does not read, until done is closed.
func (r *replica) deliver(done <-chan struct{}, m *link.Message) {
	child := r.current()
	if child == nil || (m.Opens && !r.calls.begin(m.Call)) {
		return
	}
	var flags uint8
	if m.Opens {
		flags = flagOpens
	}
	id, head := child.socket.newID(kindHypha), []byte(m.Call)
	var err error
	if m.Reader == nil {
		err = child.socket.send(done, kindHypha, flags, id, head, m.Data)
	} else {
		_, err = child.socket.sendFrom(done, kindHypha, flags, id, head, m.Reader, m.Size)
	}
	if err != nil && !expected(err) {
		r.log.Warn("a message did not reach Python", zap.Int64("bytes", m.Len()), zap.Error(err))
	}
	if m.Opens && r.calls.arrived(m.Call, err == nil) {
		r.tell(cancelMessage(m.Call))
	}
}

// cancel tells Python that the caller gave up.
func (r *replica) cancel(call string) {
	if r.calls.cancel(call) {
		r.tell(cancelMessage(call))
	}
}

func cancelMessage(call string) any { return map[string]any{"type": "cancel", "call": call} }
