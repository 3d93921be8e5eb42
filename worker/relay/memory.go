package relay

// memory knows the keys of the calls that ended last, so that a replica which lists one of them as open is told to
// cancel it and not taken for a call from before a restart. It forgets the oldest when full.
type memory struct {
	keys map[string]struct{}
	ring []string // in order of arrival, from next on once size are there
	size int
	next int
}

func newMemory(size int) memory {
	return memory{keys: make(map[string]struct{}), size: size}
}

func (m *memory) add(key string) {
	if _, ok := m.keys[key]; ok {
		return
	}
	m.keys[key] = struct{}{}
	if len(m.ring) < m.size {
		m.ring = append(m.ring, key)
		return
	}
	delete(m.keys, m.ring[m.next])
	m.ring[m.next] = key
	m.next = (m.next + 1) % m.size
}

func (m *memory) has(key string) bool {
	_, ok := m.keys[key]
	return ok
}
