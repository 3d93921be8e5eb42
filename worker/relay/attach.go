package relay

import (
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// compare brings the table in line with what a replica says is open in it, after its agent dialled in. Calls that it
// does not list have ended, and their answers were lost on the way. Calls that we do not have are from before a restart
// of the controller, unless we ended them: then they are cancelled.
func (r *Relay) compare(rep *replica, live []string, now time.Time) {
	listed := make(map[string]bool, len(live))
	for _, key := range live {
		listed[key] = true
	}
	lost := r.openCalls(func(c *call) bool {
		return c.replica == rep && c.state == callSent && !listed[c.key]
	})
	for _, c := range lost {
		r.fail(c, errAnswerLost, now)
	}
	adopted := 0
	for _, key := range live {
		c := r.open[key]
		switch {
		case c != nil && c.replica == rep:
		case c != nil || r.ended.has(key):
			r.cancel(rep, key)
		case r.adopt(rep, key, now):
			adopted++
		}
	}
	if len(lost)+adopted > 0 {
		r.log.Info("replica attached again", zap.String("replica", rep.tag),
			zap.Int("answers_lost", len(lost)), zap.Int("calls_adopted", adopted))
	}
}

// adopt enters a call that was begun under an earlier controller. What sort of call it is and which interval its caller
// wants is not known: it takes a slot, and the replica's own heartbeats go through.
func (r *Relay) adopt(rep *replica, key string, now time.Time) bool {
	peer, session, ok := strings.Cut(key, "\x00")
	if !ok || session == "" || !nameable(peer, session) || len(r.open)+r.answers.len() >= r.limits.Answers {
		r.cancel(rep, key)
		return false
	}
	c := &call{
		key: key, caller: hypha.Header{From: peer, Session: session},
		since: now, seen: now, service: true, counted: true, beat: unknownBeat,
		state: callSent, replica: rep,
	}
	c.alarm.owner = c
	r.accept(c)
	r.ongoing++
	rep.ongoing++
	r.choice.update(rep)
	c.contact = r.contacts.begin(pair{rep.tag, peer}, now)
	return true
}

// cancel tells a replica that nobody waits for a call any more.
func (r *Relay) cancel(rep *replica, key string) {
	r.postControl(rep, link.Control{Type: link.ControlCancel, Replica: rep.tag, Call: key})
}

// cancelIfOpen does so for a call that is about to fail.
func (r *Relay) cancelIfOpen(rep *replica, c *call) {
	if c.state != callEnded && !c.mute {
		r.cancel(rep, c.key)
	}
}
