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
	// byID has one entry per open call of ours, and at most maxHeld for answers of handlers that hold callbacks.
	byID map[string]*session
	held int
}

// maxHeld bounds what callers can make us keep by calling methods that return functions; further answers of that kind fail.
const maxHeld = 10000

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

// open makes a session for a call to target.
func (s *sessions) open(target string) *session {
	one := &session{
		id: newSessionID(), target: target, used: time.Now(), answer: make(chan answer, 1), beat: make(chan struct{}, 1),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[one.id] = one
	return one
}

// hold makes a session for callbacks that target gets to keep.
func (s *sessions) hold(target string) (*session, error) {
	one := &session{id: newSessionID(), target: target, used: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held >= maxHeld {
		return nil, Errorf("RuntimeError", "%d answers with functions are kept already", maxHeld)
	}
	s.held++
	s.byID[one.id] = one
	return one, nil
}

// close removes a session with its callbacks.
func (s *sessions) close(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.byID[id])
}

// drop needs the lock. It stops the callbacks; an answer that came too late is let go.
func (s *sessions) drop(one *session) {
	if one == nil {
		return
	}
	delete(s.byID, one.id)
	if one.answer == nil {
		s.held--
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
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.byID {
		if one.answer == nil && which(one) {
			s.drop(one)
		}
	}
}

// count is how many sessions there are: open calls and callbacks given away.
func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}
