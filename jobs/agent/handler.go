package agent

import (
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// session takes what one link brings. Its methods return when the link ends, also while Python does not read.
type session struct {
	*Agent
	conn *link.Conn
}

var _ link.Handler = (*session)(nil)

// interrupt waits for the link's end and lets the methods that wait for Python return.
func (s *session) interrupt() {
	<-s.conn.Done()
	for _, r := range s.all(false) {
		if child := r.current(); child != nil {
			child.socket.interrupt()
		}
	}
}

// Control takes a control message of the controller.
func (s *session) Control(c link.Control) {
	switch c.Type {
	case link.ControlStop:
		s.stop.give()
	case link.ControlPeerGone:
		for _, r := range s.all(false) {
			r.tell(map[string]any{"type": "peer_gone", "peer": c.Peer})
		}
	case link.ControlCancel:
		if r := s.find(c.Replica); r != nil {
			r.cancel(c.Call)
		}
	case link.ControlDrain:
		if r := s.find(c.Replica); r != nil {
			r.drain(c.Timeout)
		}
	}
}

// Message takes a Hypha message for a replica; while Python does not read, the controller's Send waits.
func (s *session) Message(m *link.Message) {
	if r := s.find(m.Replica); r != nil {
		r.deliver(s.conn.Done(), m)
	}
}

// Stream takes a call from another deployment.
func (s *session) Stream(h link.Header, stream *link.Stream) {
	if h.Kind != link.KindHandle {
		return
	}
	r := s.find(h.Replica)
	if r == nil {
		_ = link.RefuseHandle(stream, "ReplicaLost: the agent has no replica "+h.Replica) // the caller may be gone
		return
	}
	r.serveHandle(s.conn.Done(), h, stream)
}
