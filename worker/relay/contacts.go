package relay

import (
	"container/list"
	"time"
)

// pair is a replica and a caller.
type pair struct{ tag, peer string }

// contact is a caller that has, or lately had, a call in a replica: the only address that the replica's callbacks may
// go to.
type contact struct {
	pair
	calls int // open ones
	last  time.Time
	place *list.Element
}

// contacts is bounded: beyond limit the pair that was used longest ago goes, unless it has an open call.
type contacts struct {
	all   map[pair]*contact
	order *list.List // of *contact, longest unused first
	limit int
	keep  time.Duration
}

func newContacts(limit int, keep time.Duration) contacts {
	return contacts{all: make(map[pair]*contact), order: list.New(), limit: limit, keep: keep}
}

// begin notes that a call of the pair begins; the caller hands the contact to finish when it ends.
func (s *contacts) begin(p pair, now time.Time) *contact {
	c := s.all[p]
	if c == nil {
		c = &contact{pair: p}
		c.place = s.order.PushBack(c)
		s.all[p] = c
	}
	c.calls++
	s.touch(c, now)
	s.evict(now)
	return c
}

func (s *contacts) finish(c *contact, now time.Time) {
	c.calls--
	s.touch(c, now)
}

// known tells whether the replica may call the peer, and counts as a use.
func (s *contacts) known(p pair, now time.Time) bool {
	c := s.all[p]
	if c == nil || c.calls == 0 && now.Sub(c.last) > s.keep {
		return false
	}
	s.touch(c, now)
	return true
}

func (s *contacts) touch(c *contact, now time.Time) {
	c.last = now
	s.order.MoveToBack(c.place)
}

// evict looks at the two oldest pairs, one more than can have been added.
func (s *contacts) evict(now time.Time) {
	for range 2 {
		front := s.order.Front()
		c := front.Value.(*contact)
		switch {
		case c.calls > 0:
			s.order.MoveToBack(front)
		case len(s.all) > s.limit || now.Sub(c.last) > s.keep:
			s.remove(c)
		default:
			return
		}
	}
}

func (s *contacts) remove(c *contact) {
	s.order.Remove(c.place)
	delete(s.all, c.pair)
}

// forget removes every pair for which gone says yes.
func (s *contacts) forget(gone func(pair) bool) {
	for p, c := range s.all {
		if gone(p) {
			s.remove(c)
		}
	}
}
