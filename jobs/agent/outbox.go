package agent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	outboxBytes    = 64 << 20 // of messages that wait for the link; when full, Python is not read
	messageWeight  = 256      // what a message counts beside its bytes
	largeWaitBytes = 1        // a large message waits in Python, but for its window
)

var errRefused = errors.New("the child has ended")

// outbox sends a replica's messages to the controller: small ones in order, one after the other; large ones beside
// them. While there is no link they wait. A message that was given to a link that then failed is lost, with the call
// that it settles: the next greeting does not list that call, and the controller rejects it.
type outbox struct {
	uplink *uplink
	calls  *calls
	log    *zap.Logger
	room   *semaphore.Weighted
	full   atomic.Bool // push waits
	open   context.Context
	refuse context.CancelFunc // ends a push that waits, and all later ones that would

	mu    sync.Mutex // guards the following field
	queue []*link.Message
	wake  chan struct{} // capacity 1: queue is not empty
}

func newOutbox(u *uplink, c *calls, log *zap.Logger) *outbox {
	o := &outbox{uplink: u, calls: c, log: log, room: semaphore.NewWeighted(outboxBytes), wake: make(chan struct{}, 1)}
	o.open, o.refuse = context.WithCancel(context.Background())
	return o
}

func weight(m *link.Message) int64 { return int64(len(m.Data)) + messageWeight }

// push queues a small message; it waits while the outbox is full, until ctx ends or refuse is called.
func (o *outbox) push(ctx context.Context, m *link.Message) error {
	if !o.room.TryAcquire(weight(m)) {
		if err := o.waitForRoom(ctx, weight(m)); err != nil {
			return err
		}
	}
	o.mu.Lock()
	o.queue = append(o.queue, m)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

func (o *outbox) waitForRoom(ctx context.Context, n int64) error {
	o.full.Store(true)
	defer o.full.Store(false)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(o.open, func() { cancel(errRefused) })
	defer stop()
	return o.room.Acquire(ctx, n)
}

// run sends small messages until ctx ends.
func (o *outbox) run(ctx context.Context) {
	for {
		select {
		case <-o.wake:
		case <-ctx.Done():
			return
		}
		o.mu.Lock()
		queue := o.queue
		o.queue = nil
		o.mu.Unlock()
		for _, m := range queue {
			o.send(ctx, m)
			o.room.Release(weight(m))
		}
	}
}

// sendLarge sends one large message.
func (o *outbox) sendLarge(ctx context.Context, m *link.Message) {
	if o.room.Acquire(ctx, largeWaitBytes) != nil {
		return
	}
	defer o.room.Release(largeWaitBytes)
	o.send(ctx, m)
}

func (o *outbox) send(ctx context.Context, m *link.Message) {
	conn, err := o.uplink.get(ctx)
	if err != nil {
		return
	}
	if m.Ends {
		o.calls.settle(m.Call)
	}
	if err := conn.Send(ctx, m); err != nil {
		o.log.Warn("a message was lost on its way to the controller",
			zap.Int64("bytes", m.Len()), zap.Bool("settles_a_call", m.Ends), zap.Error(err))
	}
}

// flush waits until all messages have been sent.
func (o *outbox) flush(ctx context.Context) {
	if err := o.room.Acquire(ctx, outboxBytes); err != nil {
		o.log.Warn("messages of the ended child could not be sent", zap.Error(err))
		return
	}
	o.room.Release(outboxBytes)
}
