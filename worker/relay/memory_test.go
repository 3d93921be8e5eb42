package relay

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemory(t *testing.T) {
	m := newMemory(3)
	for i := range 10 {
		m.add(fmt.Sprint(i))
		m.add(fmt.Sprint(i)) // known already
		for j := range 11 {
			if want := j <= i && j > i-3; m.has(fmt.Sprint(j)) != want {
				t.Errorf("after %d: has %d is %v", i, j, !want)
			}
		}
	}
	if len(m.keys) != 3 || len(m.ring) != 3 {
		t.Errorf("holds %d keys, %d in the ring", len(m.keys), len(m.ring))
	}
}

func TestContacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newContacts(3, time.Minute)
		open := s.begin(pair{"r", "open"}, time.Now())
		for i := range 10 {
			s.finish(s.begin(pair{"r", fmt.Sprint(i)}, time.Now()), time.Now())
		}
		if len(s.all) != s.order.Len() || len(s.all) > 4 {
			t.Errorf("%d pairs, %d in order", len(s.all), s.order.Len())
		}
		if !s.known(pair{"r", "open"}, time.Now()) || !s.known(pair{"r", "9"}, time.Now()) || s.known(pair{"r", "0"}, time.Now()) {
			t.Error("the wrong pairs were forgotten")
		}
		time.Sleep(2 * time.Minute)
		if s.known(pair{"r", "9"}, time.Now()) {
			t.Error("an idle pair is still known")
		}
		if !s.known(pair{"r", "open"}, time.Now()) {
			t.Error("a pair with an open call was forgotten")
		}
		s.forget(func(p pair) bool { return p.peer == "open" })
		s.finish(open, time.Now()) // after it was forgotten
		if s.known(pair{"r", "open"}, time.Now()) {
			t.Error("a forgotten pair came back")
		}
	})
}

func TestQueue(t *testing.T) {
	var q queue[int]
	next := 0
	for i := range 1000 {
		q.push(i)
		if i%3 != 0 {
			if got, ok := q.pop(); !ok || got != next {
				t.Fatalf("popped %d %v, want %d", got, ok, next)
			}
			next++
		}
	}
	q.keep(func(i int) bool { return i%2 == 0 })
	for q.len() > 0 {
		got, _ := q.pop()
		for next%2 != 0 {
			next++
		}
		if got != next {
			t.Fatalf("popped %d, want %d", got, next)
		}
		next++
	}
	if _, ok := q.pop(); ok {
		t.Error("an empty queue gave something")
	}
}
