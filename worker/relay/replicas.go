package relay

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Replica is one member of a replica set.
type Replica struct {
	Tag string
	// MaxOngoing is how many calls it takes at once (`max_ongoing_requests` of the decorator); at least 1 is assumed.
	MaxOngoing int
	// Attach changes each time the replica's agent dials in anew.
	Attach int64
	// Live are the keys of the calls that the agent listed as open when it dialled in.
	Live []string
	// Link is nil while the replica cannot be reached: it gets no new calls, and its open ones wait.
	Link Sender
	// Draining keeps new calls away; open ones and objects go on.
	Draining bool
}

// replica is what the relay knows about one; guarded by the relay's lock but for tag, number and ctx.
type replica struct {
	tag    string
	number uint64 // order of appearance

	limit    int
	attach   int64
	attached bool   // has had a link
	dead     bool   // its link ended before the set said so; ignored until it attaches anew
	link     Sender // nil while unreachable
	draining bool

	ongoing int    // calls of the application it holds
	served  uint64 // calls of the application it was given
	slot    int    // place in the choice plus one; 0: not in it

	box   outbox
	ctx   context.Context // of its writer; nil until that starts
	stop  context.CancelFunc
	alarm alarm // end of patience while unreachable
}

// able tells whether it can take a call of the application now.
func (rep *replica) able() bool {
	return rep.link != nil && !rep.draining && rep.ongoing < rep.limit
}

// SetReplicas replaces the replica set. A tag absent from it is lost for good: its calls fail with ReplicaLost, or go to
// another replica if it has not seen them, and its frames are dropped from now on. It does not block.
func (r *Relay) SetReplicas(set []Replica) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	now := time.Now()
	for _, rep := range r.absentFrom(set) {
		r.remove(rep, now)
	}
	for _, want := range set {
		r.update(want, now)
	}
	r.watchDrought(now)
	r.admit(now)
}

func (r *Relay) absentFrom(set []Replica) []*replica {
	var absent []*replica
	for _, rep := range r.replicas {
		if !slices.ContainsFunc(set, func(want Replica) bool { return want.Tag == rep.tag }) {
			absent = append(absent, rep)
		}
	}
	return absent
}

// update brings one replica to what the set says.
func (r *Relay) update(want Replica, now time.Time) {
	rep := r.replicas[want.Tag]
	if rep == nil {
		rep = r.add(want.Tag)
	}
	rep.limit, rep.draining = max(1, want.MaxOngoing), want.Draining
	anew := want.Link != nil && (!rep.attached || want.Attach != rep.attach)
	switch {
	case want.Link == nil:
		r.loseLink(rep, now)
	case anew:
		rep.attach, rep.attached, rep.dead = want.Attach, true, false
		r.gainLink(rep, want.Link)
		r.compare(rep, want.Live, now)
	case !rep.dead:
		r.gainLink(rep, want.Link)
	}
	r.choice.update(rep)
	r.stir(rep)
}

func (r *Relay) add(tag string) *replica {
	r.appeared++
	rep := &replica{tag: tag, number: r.appeared}
	rep.box.wake = make(chan struct{}, 1)
	rep.alarm.owner = rep
	r.replicas[tag] = rep
	r.startWriter(rep)
	return rep
}

func (r *Relay) gainLink(rep *replica, to Sender) {
	rep.link = to
	r.dropAlarm(&rep.alarm)
}

// loseLink keeps what the replica has begun and takes back what it has not seen.
func (r *Relay) loseLink(rep *replica, now time.Time) {
	if rep.link != nil {
		rep.link, rep.dead = nil, ended(rep.link)
	}
	r.choice.update(rep)
	r.requeue(rep, now)
	if rep.alarm.slot == 0 {
		r.setAlarm(&rep.alarm, now.Add(r.limits.Unreachable))
	}
}

// ring ends the wait for answers of a replica that could not be reached for too long. It may come back; it is then told
// to cancel them.
func (rep *replica) ring(r *Relay, now time.Time) time.Time {
	calls := r.openCalls(func(c *call) bool { return c.replica == rep })
	for _, c := range calls {
		r.fail(c, errUnreachable, now)
	}
	r.admit(now)
	return now.Add(r.limits.Unreachable)
}

// remove ends a replica for good.
func (r *Relay) remove(rep *replica, now time.Time) {
	delete(r.replicas, rep.tag)
	rep.link = nil
	r.choice.update(rep)
	r.requeue(rep, now)
	lost := r.openCalls(func(c *call) bool { return c.replica == rep })
	for _, c := range lost {
		r.fail(c, errReplicaLost, now)
	}
	if len(lost) > 0 {
		r.log.Info("replica lost with open calls", zap.String("replica", rep.tag), zap.Int("calls", len(lost)))
	}
	r.dropAlarm(&rep.alarm)
	r.contacts.forget(func(p pair) bool { return p.tag == rep.tag })
	rep.box.keep(func(m *mail) bool {
		m.free(r)
		return false
	})
	if rep.stop != nil {
		rep.stop()
	}
}
