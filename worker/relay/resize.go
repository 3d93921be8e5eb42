package relay

import "time"

// SetMaxOngoing changes how many calls of the application run at once, when an update changes it. Calls that run beyond
// a smaller number finish; at least 1 is assumed.
func (r *Relay) SetMaxOngoing(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.maximum = max(1, n)
	r.admit(time.Now())
}
