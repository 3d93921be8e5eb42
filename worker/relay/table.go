package relay

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// caller counts what one peer has open that is limited per peer.
type caller struct{ waiting, sessions int }

// accept enters a call into the table. From here on it ends exactly once.
func (r *Relay) accept(c *call) {
	r.accepted++
	c.number = r.accepted
	if c.mute {
		c.key = "\x00" + strconv.FormatUint(c.number, 10)
	}
	r.open[c.key] = c
	r.counters.accepted.Add(1)
	if !c.service {
		r.sessions++
		r.callerOf(c).sessions++
	}
	if c.beat > 0 && !c.mute {
		r.setAlarm(&c.alarm, c.since.Add(c.beat))
	}
}

// settle takes a call out of all tables; false when it had ended before.
func (r *Relay) settle(c *call, now time.Time) bool {
	switch c.state {
	case callEnded:
		return false
	case callWaiting:
		r.leaveLine(c)
		c.mail.free(r)
	case callAssigned:
		c.mail.free(r)
	}
	if c.abort != nil {
		c.abort()
	}
	r.leaveReplica(c, now)
	r.dropAlarm(&c.alarm)
	delete(r.open, c.key)
	if !c.service {
		r.sessions--
		r.callerOf(c).sessions--
		r.tidyCaller(c)
	}
	c.state = callEnded
	return true
}

// fail ends a call with an error of the relay. A call whose large answer is on the way is only cut short: whoever sends
// that answer knows whether it got through after all, and ends the call.
func (r *Relay) fail(c *call, err error, now time.Time) {
	if c.state == callAnswering && c.abort != nil {
		if c.cause == nil {
			c.cause = err
		}
		c.abort()
		return
	}
	if !r.settle(c, now) {
		return
	}
	r.counters.failed.Add(1)
	if !c.mute {
		r.push(answer{to: c.caller, err: err})
	}
}

// leaveReplica gives back what the call holds of its replica; the call keeps the pointer unless it was not sent.
func (r *Relay) leaveReplica(c *call, now time.Time) {
	if c.replica == nil {
		return
	}
	r.freeSlots(c)
	if c.contact != nil {
		r.contacts.finish(c.contact, now)
		c.contact = nil
	}
	if c.state != callAssigned {
		r.ended.add(c.key)
	}
}

// freeSlots gives back the slot of the application and of the replica.
func (r *Relay) freeSlots(c *call) {
	if !c.counted {
		return
	}
	c.counted = false
	r.ongoing--
	c.replica.ongoing--
	r.choice.update(c.replica)
}

func (r *Relay) callerOf(c *call) *caller {
	who := r.callers[c.caller.From]
	if who == nil {
		who = new(caller)
		r.callers[c.caller.From] = who
	}
	return who
}

func (r *Relay) tidyCaller(c *call) {
	if who := r.callers[c.caller.From]; who != nil && *who == (caller{}) {
		delete(r.callers, c.caller.From)
	}
}

// openCalls lists the calls for which wanted says yes, in order of arrival.
func (r *Relay) openCalls(wanted func(*call) bool) []*call {
	var calls []*call
	for c := range maps.Values(r.open) {
		if wanted(c) {
			calls = append(calls, c)
		}
	}
	slices.SortFunc(calls, byArrival)
	return calls
}

func byArrival(a, b *call) int { return cmp.Compare(a.number, b.number) }
