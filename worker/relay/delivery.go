package relay

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// startWriter starts the goroutine that writes a replica's small mail, unless Run is not running.
func (r *Relay) startWriter(rep *replica) {
	if r.ctx == nil {
		return
	}
	rep.ctx, rep.stop = context.WithCancel(r.ctx)
	r.group.Go(func() { r.write(rep) })
	r.stir(rep)
}

// stir makes the replica's mail move: it wakes the writer and starts carriers for large mail.
func (r *Relay) stir(rep *replica) {
	wake(rep.box.wake)
	if rep.ctx == nil || r.ctx == nil || rep.link == nil {
		return
	}
	for rep.box.carriers < min(bulkWriters, rep.box.large.len()) {
		rep.box.carriers++
		r.group.Go(func() { r.carry(rep) })
	}
}

// write sends a replica's small mail in order until the replica is lost or Run ends.
func (r *Relay) write(rep *replica) {
	for {
		m, to := r.take(rep, &rep.box.small)
		if m == nil {
			select {
			case <-rep.ctx.Done():
				return
			case <-rep.box.wake:
			}
			continue
		}
		r.deliver(rep.ctx, rep, to, m)
	}
}

// carry sends large mail of a replica as long as there is some.
func (r *Relay) carry(rep *replica) {
	for {
		m, to := r.take(rep, &rep.box.large)
		if m == nil {
			return
		}
		ctx, cancel := context.WithCancel(rep.ctx)
		if m.call == nil || r.watch(m.call, cancel) {
			r.deliver(ctx, rep, to, m)
		} else {
			m.free(r)
		}
		cancel()
	}
}

// watch lets the end of a call cut its transfer short; false when it has ended already.
func (r *Relay) watch(c *call, abort context.CancelFunc) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.state == callEnded {
		return false
	}
	c.abort = abort
	return true
}

// take is the next mail of a queue that still has to go, and where to. A call counts as sent from here on. A nil mail
// means wait; the last carrier to get it is out of the books then.
func (r *Relay) take(rep *replica, from *queue[*mail]) (*mail, Sender) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lookAtLink(rep, time.Now())
	for rep.link != nil {
		m, ok := from.pop()
		if !ok {
			break
		}
		switch c := m.call; {
		case c == nil:
			rep.box.frames--
		case c.state != callAssigned || c.replica != rep:
			continue // ended or went elsewhere while it waited
		default:
			c.state = callSent
		}
		m.message.Replica = rep.tag
		return m, rep.link
	}
	if from == &rep.box.large {
		rep.box.carriers--
	}
	return nil, nil
}

// deliver writes one mail to the link and deals with failure.
func (r *Relay) deliver(ctx context.Context, rep *replica, to Sender, m *mail) {
	var err error
	if m.control != nil {
		err = to.Control(ctx, *m.control)
	} else {
		err = to.Send(ctx, &m.message)
	}
	m.free(r)
	if m.call != nil || err != nil {
		r.delivered(rep, m.call, err)
	}
}

// delivered notes how writing went. A call that may have arrived in part fails now: waiting for the replica to be back
// would only tell the same.
func (r *Relay) delivered(rep *replica, c *call, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if c != nil && c.state != callAnswering {
		c.abort = nil
	}
	if err == nil {
		return
	}
	r.log.Debug("message to replica not delivered", zap.String("replica", rep.tag), zap.Error(err))
	switch {
	case c == nil:
		r.counters.drop(dropLink)
	case c.state == callAnswering: // the replica has seen enough to answer
	case errors.Is(err, link.ErrTooLarge):
		r.fail(c, hypha.Errorf("RuntimeError", "the arguments exceed the limit of %d MiB per call", link.MaxMessage>>20), now)
	default:
		r.cancelIfOpen(rep, c)
		r.fail(c, errUndelivered, now)
	}
	r.lookAtLink(rep, now)
	r.admit(now)
}

// lookAtLink notices the end of a link before the next replica set tells.
func (r *Relay) lookAtLink(rep *replica, now time.Time) {
	if rep.link != nil && ended(rep.link) {
		r.loseLink(rep, now)
		r.watchDrought(now)
		r.admit(now)
	}
}

// ended tells whether a link that can say so has ended.
func ended(to Sender) bool {
	l, ok := to.(interface{ Done() <-chan struct{} })
	if !ok {
		return false
	}
	select {
	case <-l.Done():
		return true
	default:
		return false
	}
}
