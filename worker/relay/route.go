package relay

import (
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// maxKey bounds what a caller may choose as the name of its call; ids of hypha-rpc have 22 characters.
const maxKey = 1024

// Route takes one frame from Hypha. It never waits: what cannot be sent at once is queued, refused or dropped.
func (r *Relay) Route(f hypha.Frame) {
	r.counters.in.Add(1)
	h := &f.Header
	if h.Type != "method" || h.To != r.client || !nameable(h.From, h.Session) {
		r.discard(f, dropForeign)
		return
	}
	switch d := locate(h.Method, r.app); {
	case d.place == object:
		r.toObject(f, d.tag, time.Now())
	case d.place == nowhere && strings.HasPrefix(h.Method, "services."):
		r.refuse(f, errNoMember(f.Header))
	case d.place == nowhere:
		r.refuse(f, errNoSession(f.Header))
	case d.member == memberLoad || r.members[d.member] != nil:
		r.answerMember(f, d.member)
	default:
		r.toApplication(f, d.member)
	}
}

// nameable tells whether a call's key names it and no other.
func nameable(peer, session string) bool {
	return peer != "" && len(peer)+len(session) < maxKey &&
		strings.IndexByte(peer, 0) < 0 && strings.IndexByte(session, 0) < 0
}

// toApplication admits a call of the application if its caller may make it.
func (r *Relay) toApplication(f hypha.Frame, member string) {
	if err := r.authorise(f.Header, member); err != nil {
		r.refuse(f, err)
		return
	}
	// The caller chooses it, and in the replica it would name the parent of the answer's session: a stranger's session,
	// or one of another replica (replica link 2).
	f.Header.Parent = ""
	now := time.Now()
	r.enter(r.newCall(f, true, now), now)
}

// authorise asks the policy, with the user that the server wrote into the header.
func (r *Relay) authorise(h hypha.Header, member string) error {
	user, err := r.users.of(h)
	if err != nil {
		return err
	}
	return r.policy.Allow(user, member)
}

// toObject passes a frame on to the replica whose tag its method carries: it calls a returned function, asks a
// generator for its next item, or answers a callback. Who may do so is checked by the replica, which knows whom it
// handed the object to.
func (r *Relay) toObject(f hypha.Frame, tag string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := r.replicas[tag]
	if rep == nil {
		r.refuseLocked(f, errNoSession(f.Header))
		return
	}
	if f.Header.Session == "" {
		r.postFrame(rep, r.letter(f, "", false))
		return
	}
	r.openSession(rep, r.newCall(f, false, now), now)
}

// openSession accepts a call of an object. It takes no slot: a call of the application may be waiting for it.
func (r *Relay) openSession(rep *replica, c *call, now time.Time) {
	if c.mute {
		m := c.mail
		m.call = nil
		r.postFrame(rep, m)
		return
	}
	if !r.mayOpen(c) {
		return
	}
	who := r.callers[c.caller.From]
	switch {
	case r.sessions >= r.limits.SessionCalls, who != nil && who.sessions >= r.limits.SessionCallsPerCaller:
		r.turnAway(c, errBusySessions)
	case rep.box.len() >= r.limits.SessionCalls:
		r.turnAway(c, errBusyReplica)
	default:
		r.accept(c)
		r.bind(c, rep, now)
	}
}

// refuse answers a frame that opens no call here.
func (r *Relay) refuse(f hypha.Frame, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuseLocked(f, err)
}

func (r *Relay) refuseLocked(f hypha.Frame, err error) {
	release(f)
	h := f.Header
	switch {
	case h.Session == "":
		r.counters.drop(dropUnknown)
	case len(r.open)+r.answers.len() >= r.limits.Answers:
		r.counters.drop(dropOverload)
	default:
		r.counters.refused.Add(1)
		r.push(answer{to: callerOnly(h), err: err})
		r.log.Debug("call refused", zap.String("from", h.From), zap.String("method", h.Method), zap.Error(err))
	}
}

func (r *Relay) discard(f hypha.Frame, why dropReason) {
	release(f)
	r.counters.drop(why)
}

func release(f hypha.Frame) {
	if f.Release != nil {
		f.Release()
	}
}

// callerOnly is what answering a call takes of its header; the rest would keep the whole frame in memory.
func callerOnly(h hypha.Header) hypha.Header {
	return hypha.Header{From: h.From, Session: h.Session, Method: h.Method}
}
