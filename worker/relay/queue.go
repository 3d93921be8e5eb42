package relay

// queue is first in, first out. Whoever owns one bounds it.
type queue[T any] struct {
	items []T
	head  int // items before it were taken
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

func (q *queue[T]) pop() (item T, ok bool) {
	if q.len() == 0 {
		return item, false
	}
	var zero T
	item, q.items[q.head] = q.items[q.head], zero
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head >= 64 && q.head > len(q.items)/2:
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return item, true
}

// keep drops the items for which wanted says no.
func (q *queue[T]) keep(wanted func(T) bool) {
	kept := q.items[:0]
	for _, item := range q.items[q.head:] {
		if wanted(item) {
			kept = append(kept, item)
		}
	}
	clear(q.items[len(kept):])
	q.items, q.head = kept, 0
}
