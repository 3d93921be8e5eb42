package hypha

import (
	"crypto/rand"
	"strings"
	"sync"
	"time"
)

// sessionPrefix begins every session of ours, so that replies are told from the frames of the Router's sessions.
const sessionPrefix = "c-"

func newSessionID() string { return sessionPrefix + rand.Text()[:20] }

// sessions are the places that peers may send to beside services: answers to our calls, and callbacks we gave away
// (hypha-protocol 2.5).
type sessions struct {
	mu sync.Mutex // guards byID and the fields of each session
	// byID has one entry per open call and per answer that holds callbacks; bounded by our own calls, the handlers'
	// answers, and their expiry.
	byID map[string]*session
}

// session belongs to the peer target: nobody else may use it.
type session struct {
	id, target string
	answer     chan answer   // buffered; nil for a session that only holds callbacks
	beat       chan struct{} // buffered; a heartbeat came
	callbacks  map[string]*mailbox
	used       time.Time
}

// answer is how a call ended: a frame not decoded yet, or an error.
type answer struct {
	in  *inbound
	ok  bool // resolve, not reject
	err error
}

func newSessions() *sessions { return &sessions{byID: map[string]*session{}} }

// open makes a session for a call to target, or with pending false for callbacks alone.
func (s *sessions) open(target string, pending bool) *session {
	one := &session{id: newSessionID(), target: target, used: time.Now()}
	if pending {
		one.answer, one.beat = make(chan answer, 1), make(chan struct{}, 1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[one.id] = one
	return one
}

// close removes a session with its callbacks.
func (s *sessions) close(id string) {
	s.mu.Lock()
	one := s.byID[id]
	delete(s.byID, id)
	s.mu.Unlock()
	one.end()
}

// end stops the callbacks; an answer that came too late is let go.
func (one *session) end() {
	if one == nil {
		return
	}
	for _, box := range one.callbacks {
		box.close()
	}
	if one.answer != nil {
		select {
		case a := <-one.answer:
			if a.in != nil {
				a.in.release()
			}
		default:
		}
	}
}

// add gives a session a callback and returns its name.
func (s *sessions) add(one *session, box *mailbox) string {
	name := rand.Text()[:12]
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.callbacks == nil {
		one.callbacks = map[string]*mailbox{}
	}
	one.callbacks[name] = box
	return name
}

// outcome of looking a session method up.
type outcome int

const (
	found outcome = iota
	noSession
	noMethod
	notTheirs
)

// settle delivers resolve and reject to the waiting call, if it is still there. The server makes rejects itself for peers
// that are gone; they come from the address we called, too.
func (s *sessions) settle(id string, in *inbound, ok bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[id]
	if one == nil || one.answer == nil || one.target != in.header.From {
		return false
	}
	select {
	case one.answer <- answer{in: in, ok: ok}:
		return true
	default:
		return false // a second answer
	}
}

// heartbeat keeps the call of a session waiting; it says whether from owns such a session.
func (s *sessions) heartbeat(id, from string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[id]
	if one == nil || one.target != from {
		return false
	}
	one.used = time.Now()
	select {
	case one.beat <- struct{}{}:
	default: // one is waiting already, or nobody waits
	}
	return true
}

// callback finds a callback for the peer that calls it.
func (s *sessions) callback(id, name, from string) (*mailbox, outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byID[id]
	if one == nil {
		return nil, noSession
	}
	if one.target != from {
		return nil, notTheirs
	}
	name, _, _ = strings.Cut(name, "#")
	box := one.callbacks[name]
	if box == nil {
		return nil, noMethod
	}
	one.used = time.Now()
	return box, found
}

// failAll ends every waiting call; callbacks that were returned stay, since their references are valid over a reconnect.
func (s *sessions) failAll(err error) {
	s.fail(err, func(*session) bool { return true })
}

// peerGone ends the calls to a peer that left, and its callbacks.
func (s *sessions) peerGone(peer string) {
	s.fail(ErrPeerGone, func(one *session) bool { return one.target == peer })
	s.remove(func(one *session) bool { return one.target == peer })
}

func (s *sessions) fail(err error, which func(*session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.byID {
		if one.answer != nil && which(one) {
			select {
			case one.answer <- answer{err: err}:
			default:
			}
		}
	}
}

// sweep removes callbacks that were not used since the given time.
func (s *sessions) sweep(since time.Time) {
	s.remove(func(one *session) bool { return one.used.Before(since) })
}

// remove ends sessions that only hold callbacks; waiting calls remove their own.
func (s *sessions) remove(which func(*session) bool) {
	var ended []*session
	s.mu.Lock()
	for id, one := range s.byID {
		if one.answer == nil && which(one) {
			delete(s.byID, id)
			ended = append(ended, one)
		}
	}
	s.mu.Unlock()
	for _, one := range ended {
		one.end()
	}
}

// count is how many sessions there are: open calls and callbacks given away.
func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}

// mailboxSize is how many calls of one callback may wait for the one that runs; more are refused.
const mailboxSize = 1024

// mailbox runs the calls of one callback one after the other, in the order of arrival.
type mailbox struct {
	run func(*inbound)

	mu      sync.Mutex // guards the following fields
	waiting []*inbound
	active  bool
	closed  bool
}

// put takes a call; false when the mailbox is full or closed. spawn starts a goroutine that is waited for.
func (m *mailbox) put(in *inbound, spawn func(func())) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.waiting) >= mailboxSize {
		return false
	}
	m.waiting = append(m.waiting, in)
	if !m.active {
		m.active = true
		spawn(m.work)
	}
	return true
}

func (m *mailbox) work() {
	for {
		m.mu.Lock()
		if len(m.waiting) == 0 {
			m.active = false
			m.mu.Unlock()
			return
		}
		in := m.waiting[0]
		m.waiting = m.waiting[1:]
		m.mu.Unlock()
		m.run(in)
	}
}

// close refuses further calls; those that wait still run, since they were made while the callback lived.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}
