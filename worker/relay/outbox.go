package relay

import (
	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// mail is one message or control message to a replica.
type mail struct {
	call    *call // that it opens; nil for all others
	control *link.Control
	message link.Message
	release func() // of the payload
	held    int64  // bytes of memory that it keeps
}

// letter packs a frame from Hypha for a replica. The payload's bytes go as they are.
func (r *Relay) letter(f hypha.Frame, key string, opens bool) mail {
	m := mail{release: f.Release, held: int64(len(f.Extra.Data))}
	r.held.Add(m.held)
	m.message = link.Message{
		Call: key, Opens: opens,
		Head: f.Header.Append(make([]byte, 0, 512)),
		Data: f.Extra.Data, Reader: f.Extra.Reader, Size: f.Extra.Size,
	}
	return m
}

// bulk mail travels beside the ordered stream and may be overtaken.
func (m *mail) bulk() bool { return m.control == nil && m.message.Len() > bulkBytes }

// free gives the payload back, once.
func (m *mail) free(r *Relay) {
	r.held.Add(-m.held)
	m.held = 0
	if m.release != nil {
		m.release()
	}
	m.release, m.message = nil, link.Message{}
}

// outbox is what waits to be written to one replica. Calls of the application in it are bounded by the replica's slots,
// those of objects by Limits.SessionCalls, all else by Limits.Frames; beyond, calls are refused and frames dropped.
type outbox struct {
	small, large queue[*mail]
	frames       int // mails that open no call
	carriers     int // goroutines that write large mail
	wake         chan struct{}
}

// post puts mail into the outbox. Callers check Limits.Frames first for mail that opens no call.
func (r *Relay) post(rep *replica, m *mail) {
	if m.call == nil {
		rep.box.frames++
	}
	if m.bulk() {
		rep.box.large.push(m)
	} else {
		rep.box.small.push(m)
	}
	r.stir(rep)
}

// postFrame posts mail that opens no call, or drops it when the outbox is full.
func (r *Relay) postFrame(rep *replica, m mail) {
	if rep.box.frames >= r.limits.Frames || r.held.Load() > r.limits.HeldBytes {
		m.free(r)
		r.counters.drop(dropFullBox)
		return
	}
	r.post(rep, &m)
}

func (r *Relay) postControl(rep *replica, c link.Control) {
	r.postFrame(rep, mail{control: &c})
}

func (b *outbox) len() int { return b.small.len() + b.large.len() }

// keep drops the mail for which wanted says no.
func (b *outbox) keep(wanted func(*mail) bool) {
	b.small.keep(wanted)
	b.large.keep(wanted)
}
