package relay

import (
	"container/heap"
	"context"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// alarm is one thing to do at a time: a heartbeat or a deadline. Its owner embeds it.
type alarm struct {
	at    time.Time
	slot  int // place in the agenda plus one; 0: not set
	owner ringer
}

// ringer is what an alarm calls, with the relay's lock held; it returns when to ring again, zero for never.
type ringer interface {
	ring(r *Relay, now time.Time) time.Time
}

// agenda holds all alarms, the next one first. One goroutine serves it, whatever the number of calls.
type agenda struct {
	heap  alarms
	looks time.Time      // when the keeper looks next by itself
	beats []hypha.Header // heartbeats that this round has to send
}

// setAlarm sets or moves an alarm.
func (r *Relay) setAlarm(a *alarm, at time.Time) {
	a.at = at
	if a.slot == 0 {
		heap.Push(&r.agenda.heap, a)
	} else {
		heap.Fix(&r.agenda.heap, a.slot-1)
	}
	if at.Before(r.agenda.looks) {
		r.agenda.looks = at
		wake(r.agendaWake)
	}
}

func (r *Relay) dropAlarm(a *alarm) {
	if a.slot != 0 {
		heap.Remove(&r.agenda.heap, a.slot-1)
	}
}

// keepAlive rings alarms and sends the heartbeats they ask for, at most beatsPerRound in each roundPause.
func (r *Relay) keepAlive(ctx context.Context, up Answerer) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var beats []hypha.Header
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.agendaWake:
		case <-timer.C:
		}
		beats = r.ringDue(time.Now(), beats[:0])
		for _, to := range beats {
			r.counters.heartbeats.Add(1)
			if err := up.Heartbeat(ctx, to); err != nil {
				r.counters.drop(dropUnsent)
			}
		}
		timer.Reset(r.untilNext(time.Now(), len(beats) == beatsPerRound))
	}
}

// ringDue rings the alarms that are due and appends the heartbeats of this round.
func (r *Relay) ringDue(now time.Time, beats []hypha.Header) []hypha.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.agenda.beats = beats
	for len(r.agenda.heap) > 0 && len(r.agenda.beats) < beatsPerRound {
		a := r.agenda.heap[0]
		if a.at.After(now) {
			break
		}
		if next := a.owner.ring(r, now); next.IsZero() {
			r.dropAlarm(a)
		} else {
			r.setAlarm(a, next)
		}
	}
	beats, r.agenda.beats = r.agenda.beats, nil
	return beats
}

// untilNext is how long the keeper sleeps when nobody wakes it.
func (r *Relay) untilNext(now time.Time, full bool) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := time.Hour
	if len(r.agenda.heap) > 0 {
		wait = max(0, r.agenda.heap[0].at.Sub(now))
	}
	if full {
		wait = max(wait, roundPause)
	}
	r.agenda.looks = now.Add(wait)
	return wait
}

// wake leaves a token for a goroutine that waits on the channel, or will.
func wake(token chan<- struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// alarms implements heap.Interface.
type alarms []*alarm

func (s alarms) Len() int           { return len(s) }
func (s alarms) Less(i, j int) bool { return s[i].at.Before(s[j].at) }

func (s alarms) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].slot, s[j].slot = i+1, j+1
}

func (s *alarms) Push(x any) {
	a := x.(*alarm)
	*s = append(*s, a)
	a.slot = len(*s)
}

func (s *alarms) Pop() any {
	last := len(*s) - 1
	a := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	a.slot = 0
	return a
}
