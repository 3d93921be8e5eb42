package relay

import "container/heap"

// choice holds the replicas that can take a call now, the best first: fewest open calls, then least served, then the
// older one. Taking the best and putting it back costs the logarithm of their number.
type choice struct{ heap candidates }

// best is nil when no replica can take a call.
func (s *choice) best() *replica {
	if len(s.heap) == 0 {
		return nil
	}
	return s.heap[0]
}

// update moves a replica to where it belongs now.
func (s *choice) update(rep *replica) {
	switch able := rep.able(); {
	case able && rep.slot == 0:
		heap.Push(&s.heap, rep)
	case able:
		heap.Fix(&s.heap, rep.slot-1)
	case rep.slot != 0:
		heap.Remove(&s.heap, rep.slot-1)
	}
}

// candidates implements heap.Interface.
type candidates []*replica

func (s candidates) Len() int { return len(s) }

func (s candidates) Less(i, j int) bool {
	a, b := s[i], s[j]
	if a.ongoing != b.ongoing {
		return a.ongoing < b.ongoing
	}
	if a.served != b.served {
		return a.served < b.served
	}
	return a.number < b.number
}

func (s candidates) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].slot, s[j].slot = i+1, j+1
}

func (s *candidates) Push(x any) {
	rep := x.(*replica)
	*s = append(*s, rep)
	rep.slot = len(*s)
}

func (s *candidates) Pop() any {
	last := len(*s) - 1
	rep := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	rep.slot = 0
	return rep
}
