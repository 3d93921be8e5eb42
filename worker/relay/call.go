package relay

import (
	"context"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

type callState int

const (
	callWaiting   callState = iota // in line for a slot and a replica
	callAssigned                   // in its replica's outbox; the replica has not seen it
	callSent                       // handed to the link; from here on it may run
	callAnswering                  // its large answer is on the way to the caller
	callEnded                      // out of all tables
)

// call is one accepted call. It ends in exactly one way: an answer of its replica, an error of ours, or the departure
// of its caller.
type call struct {
	key    string       // "<peer>\x00<session>"; of a call without session "\x00<number>"
	caller hypha.Header // what an answer needs: From, Session, Method
	number uint64       // order of arrival
	since  time.Time    // of arrival

	state   callState
	replica *replica // nil while waiting
	contact *contact // of replica and caller, set with replica
	service bool     // a call of the application: needs a slot and any replica; else of an object in one replica
	mute    bool     // the caller wants no answer, so nobody will say when it ends
	counted bool     // holds its slots

	mail  mail               // what opens it, until sent
	abort context.CancelFunc // ends its large transfer, in either direction; nil when none is under way
	cause error              // why its large answer was cut short

	known bool          // the caller's heartbeat interval is known: the relay sends them, not the replica
	beat  time.Duration // between heartbeats of the relay; 0: none wanted
	seen  time.Time     // when not known: last sign of life from the replica
	alarm alarm
}

// newCall reads what the table needs to know about a frame that opens a call. It takes the frame's payload over.
func (r *Relay) newCall(f hypha.Frame, service bool, now time.Time) *call {
	h := f.Header
	c := &call{
		caller:  callerOnly(h),
		since:   now,
		service: service,
	}
	interval, promise, ok := hypha.PromiseInterval(&f.Extra)
	c.mute = h.Session == "" || ok && !promise
	switch {
	case !ok:
		c.beat = unknownBeat
	case interval > 0:
		c.known, c.beat = true, min(max(interval, minBeat), maxBeat)
	default:
		c.known = true
	}
	c.alarm.owner = c
	if !c.mute {
		c.key = callKey(h.From, h.Session)
	}
	c.mail = r.letter(f, c.key, !c.mute)
	c.mail.call = c
	return c
}

func callKey(peer, session string) string { return peer + "\x00" + session }

// ring sends the call's heartbeat, or ends it when its time is up.
func (c *call) ring(r *Relay, now time.Time) time.Time {
	if c.mute {
		r.settle(c, now)
		r.counters.answered.Add(1) // all that its caller wants to hear
		r.admit(now)
		return time.Time{}
	}
	if c.needsBeat() {
		r.agenda.beats = append(r.agenda.beats, c.caller)
	}
	if !c.known && c.state == callSent && c.replica.link != nil && now.Sub(c.seen) > r.limits.Silent {
		r.cancel(c.replica, c.key)
		r.fail(c, errSilent, now)
		r.admit(now)
		return time.Time{}
	}
	return now.Add(c.beat)
}

// needsBeat is false when someone else keeps the caller waiting: the replica a call of unknown interval, the
// connection the receiver of a large answer.
func (c *call) needsBeat() bool {
	switch {
	case c.state == callAnswering:
		return false
	case c.known:
		return true
	}
	return c.state != callSent || c.replica.link == nil
}
