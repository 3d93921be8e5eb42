package hypha

import "sync"

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
