package relay

// memory knows the keys of the calls that ended last, so that a replica which lists one of them as open is told to
// cancel it and not taken for a call from before a restart. It forgets the oldest when full.
type memory struct {
	keys map[string]struct{}
	ring []string
	next int
}

func newMemory(size int) memory {
	return memory{keys: make(map[string]struct{}), ring: make([]string, size)}
}

func (m *memory) add(key string) {
	if _, ok := m.keys[key]; ok {
		return
	}
	delete(m.keys, m.ring[m.next])
	m.ring[m.next] = key
	m.keys[key] = struct{}{}
	m.next = (m.next + 1) % len(m.ring)
}

func (m *memory) has(key string) bool {
	_, ok := m.keys[key]
	return ok
}
