package agent

import (
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

var _ link.Handler = (*Agent)(nil)

// Control takes a control message of the controller.
func (a *Agent) Control(c link.Control) {
	switch c.Type {
	case link.ControlStop:
		a.stop.give()
	case link.ControlPeerGone:
		for _, r := range a.all(false) {
			r.tell(map[string]any{"type": "peer_gone", "peer": c.Peer})
		}
	case link.ControlCancel:
		if r := a.find(c.Replica); r != nil {
			r.cancel(c.Call)
		}
	case link.ControlDrain:
		if r := a.find(c.Replica); r != nil {
			r.drain(c.Timeout)
		}
	}
}

// Message takes a Hypha message for a replica; while Python does not read, the controller's Send waits.
func (a *Agent) Message(m *link.Message) {
	if r := a.find(m.Replica); r != nil {
		r.deliver(m)
	}
}

// Stream takes a call from another deployment.
func (a *Agent) Stream(h link.Header, s *link.Stream) {
	if h.Kind != link.KindHandle {
		return
	}
	r := a.find(h.Replica)
	if r == nil {
		_ = link.RefuseHandle(s, "ReplicaLost: the agent has no replica "+h.Replica) // the caller may be gone
		return
	}
	r.serveHandle(h, s)
}
