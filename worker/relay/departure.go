package relay

import (
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// PeerGone forgets a client that left Hypha: nobody waits for its calls any more, and no replica may call it back.
func (r *Relay) PeerGone(peer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, c := range r.openCalls(func(c *call) bool { return c.caller.From == peer }) {
		if c.state == callSent && !c.mute {
			r.cancel(c.replica, c.key)
		}
		r.settle(c, now)
		r.counters.left.Add(1)
	}
	r.contacts.forget(func(p pair) bool { return p.peer == peer })
	for _, rep := range r.replicas {
		r.postControl(rep, link.Control{Type: link.ControlPeerGone, Replica: rep.tag, Peer: peer})
	}
	r.admit(now)
}
