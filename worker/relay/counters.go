package relay

import "sync/atomic"

// Reasons why a frame went no further.
type dropReason int

const (
	dropForeign   dropReason = iota // not a method frame, not for us, or a header too long
	dropUnknown                     // nobody here has that session, and nobody waits for an answer
	dropDuplicate                   // a second call with the session of an open one
	dropOverload                    // Limits.Answers are taken
	dropNoRoom                      // a call without a session and no slot for it
	dropFullBox                     // Limits.Frames wait for the replica
	dropLink                        // the link to the replica failed
	dropFenced                      // from a replica that is not in the set
	dropMalformed                   // from a replica, header unreadable
	dropLate                        // an answer to a call that is not open in that replica
	dropHeartbeat                   // a replica's heartbeat of a call whose heartbeats the relay sends
	dropStranger                    // a replica's call of a peer that has no call in it
	dropOutward                     // a replica's call of somebody's service
	dropForged                      // a replica's call that asks for the answer elsewhere
	dropUnsent                      // the Hypha connection failed or is away
	dropReasons
)

var dropNames = [dropReasons]string{
	"foreign", "unknown", "duplicate", "overload", "no_room", "full_box", "link", "fenced", "malformed", "late",
	"heartbeat", "stranger", "outward", "forged", "unsent",
}

// Stats are counters since New. Accepted = Answered + Failed + Left + Open at all times.
type Stats struct {
	// FramesIn came from Hypha, FramesOut went to it from replicas; the relay's own answers are not among them.
	FramesIn, FramesOut uint64
	// Accepted calls were answered by a replica, failed with an error of the relay, or their callers left.
	Accepted, Answered, Failed, Left uint64
	// Refused calls were answered with an error instead of being accepted.
	Refused uint64
	// Heartbeats that the relay sent.
	Heartbeats uint64
	// Dropped frames by reason.
	Dropped map[string]uint64
	// Open calls now: Waiting of them in line, Ongoing with a slot. HeldBytes of payloads in memory.
	Open, Waiting, Ongoing int
	HeldBytes              int64
}

type counters struct {
	in, out                          atomic.Uint64
	accepted, answered, failed, left atomic.Uint64
	refused, heartbeats              atomic.Uint64
	dropped                          [dropReasons]atomic.Uint64
}

func (c *counters) drop(why dropReason) { c.dropped[why].Add(1) }

// Stats returns the counters.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.counters
	s := Stats{
		FramesIn: c.in.Load(), FramesOut: c.out.Load(),
		Accepted: c.accepted.Load(), Answered: c.answered.Load(), Failed: c.failed.Load(), Left: c.left.Load(),
		Refused: c.refused.Load(), Heartbeats: c.heartbeats.Load(),
		Dropped: make(map[string]uint64),
		Open:    len(r.open), Waiting: len(r.waiting), Ongoing: r.ongoing, HeldBytes: r.held.Load(),
	}
	for why, name := range dropNames {
		if n := c.dropped[why].Load(); n > 0 {
			s.Dropped[name] = n
		}
	}
	return s
}
