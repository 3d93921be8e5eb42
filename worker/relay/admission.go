package relay

import (
	"slices"
	"time"
)

// enter admits a call of the application: to a replica when a slot, a replica and nobody before it in line, else into
// the line, else not at all.
func (r *Relay) enter(c *call, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mayOpen(c) {
		return
	}
	if len(r.waiting) == 0 {
		if rep := r.vacant(); rep != nil {
			r.accept(c)
			r.assign(c, rep, now)
			return
		}
	}
	if err := r.mayWait(c); err != nil {
		r.turnAway(c, err)
		return
	}
	r.accept(c)
	r.joinLine(c, now)
}

// mayOpen refuses or drops what no call may do, whatever the load.
func (r *Relay) mayOpen(c *call) bool {
	switch {
	case r.closed:
		r.turnAway(c, r.errNotBegun(c.caller))
	case !c.mute && r.open[c.key] != nil:
		c.mail.free(r)
		r.counters.drop(dropDuplicate) // an answer would settle the first call of this session
	case len(r.open)+r.answers.len() >= r.limits.Answers:
		c.mail.free(r)
		r.counters.drop(dropOverload)
	case r.held.Load() > r.limits.HeldBytes:
		r.turnAway(c, r.errFull())
	default:
		return true
	}
	return false
}

// mayWait says why a call cannot join the line.
func (r *Relay) mayWait(c *call) error {
	switch who := r.callers[c.caller.From]; {
	case r.drought.active && r.unhealthy != nil:
		return r.unhealthy
	case c.mute, len(r.waiting) >= r.limits.Waiting,
		who != nil && who.waiting >= r.limits.WaitingPerCaller:
		return r.errFull()
	}
	return nil
}

// turnAway answers a call that was not accepted.
func (r *Relay) turnAway(c *call, err error) {
	c.mail.free(r)
	if c.mute {
		r.counters.drop(dropNoRoom)
		return
	}
	r.counters.refused.Add(1)
	r.push(answer{to: c.caller, err: err})
}

// vacant is the replica that takes the next call; nil when the application has no slot or no replica can.
func (r *Relay) vacant() *replica {
	if r.ongoing >= r.maximum {
		return nil
	}
	return r.choice.best()
}

// admit moves calls from the head of the line to replicas as long as there is room.
func (r *Relay) admit(now time.Time) {
	for len(r.waiting) > 0 {
		rep := r.vacant()
		if rep == nil {
			return
		}
		c := r.waiting[0]
		r.leaveLine(c)
		r.assign(c, rep, now)
	}
}

// assign gives a call of the application to a replica.
func (r *Relay) assign(c *call, rep *replica, now time.Time) {
	c.counted = true
	r.ongoing++
	rep.ongoing++
	rep.served++
	r.choice.update(rep)
	if c.mute {
		r.setAlarm(&c.alarm, now.Add(silentHold))
	}
	r.bind(c, rep, now)
}

// bind puts what opens a call into its replica's outbox.
func (r *Relay) bind(c *call, rep *replica, now time.Time) {
	c.state, c.replica, c.seen = callAssigned, rep, now
	if !c.mute {
		c.contact = r.contacts.begin(pair{rep.tag, c.caller.From}, now)
	}
	r.post(rep, &c.mail)
}

func (r *Relay) joinLine(c *call, now time.Time) {
	c.state = callWaiting
	r.waiting = append(r.waiting, c)
	r.callerOf(c).waiting++
	if r.drought.active && r.drought.alarm.slot == 0 {
		r.setAlarm(&r.drought.alarm, now.Add(r.limits.NoReplica))
	}
}

func (r *Relay) leaveLine(c *call) {
	if i := slices.Index(r.waiting, c); i >= 0 {
		r.waiting = slices.Delete(r.waiting, i, i+1)
		r.callerOf(c).waiting--
		r.tidyCaller(c)
	}
}

// requeue puts the calls that a replica has not seen back into the line, where their age says.
func (r *Relay) requeue(rep *replica, now time.Time) {
	back := r.openCalls(func(c *call) bool {
		return c.replica == rep && c.state == callAssigned && c.service
	})
	for _, c := range back {
		r.leaveReplica(c, now)
		c.replica = nil
		r.joinLine(c, now)
		if c.mute {
			r.fail(c, errReplicaLost, now) // nobody waits for it
		}
	}
	if len(back) > 0 {
		slices.SortFunc(r.waiting, byArrival)
		rep.box.keep(func(m *mail) bool { return m.call == nil || m.call.replica == rep })
	}
}

// drought is the time without a usable replica.
type drought struct {
	active bool
	since  time.Time
	alarm  alarm
}

// watchDrought notes whether any replica can be expected to take calls.
func (r *Relay) watchDrought(now time.Time) {
	usable := false
	for _, rep := range r.replicas {
		usable = usable || rep.link != nil && !rep.draining
	}
	switch d := &r.drought; {
	case usable:
		d.active = false
		r.dropAlarm(&d.alarm)
	case !d.active:
		d.active, d.since = true, now
		if len(r.waiting) > 0 {
			r.setAlarm(&d.alarm, now.Add(r.limits.NoReplica))
		}
	}
	r.failUnservable(now)
}

// failUnservable ends the wait of all callers when there is no replica and the application is known to be unhealthy.
func (r *Relay) failUnservable(now time.Time) {
	if !r.drought.active || r.unhealthy == nil {
		return
	}
	for _, c := range slices.Clone(r.waiting) {
		r.fail(c, r.unhealthy, now)
	}
}

// ring ends the wait of those who have waited long enough for a replica.
func (d *drought) ring(r *Relay, now time.Time) (next time.Time) {
	for _, c := range slices.Clone(r.waiting) {
		from := d.since
		if c.since.After(from) {
			from = c.since
		}
		if until := from.Add(r.limits.NoReplica); !until.After(now) {
			r.fail(c, r.errNoReplica(now.Sub(from)), now)
		} else if next.IsZero() || until.Before(next) {
			next = until
		}
	}
	return next
}
