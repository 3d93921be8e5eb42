package relay

import "github.com/bioengine-hpc/bioengine-hpc/hypha"

// memberLoad is answered here always: the share of the application's slots in use, 0 to 1 (contract 4).
const memberLoad = "get_load"

// answerMember answers a call of one of the controller's own members; its arguments are not looked at.
func (r *Relay) answerMember(f hypha.Frame, member string) {
	release(f)
	var value any
	if own := r.members[member]; own != nil {
		value = own()
	} else {
		ongoing, capacity := r.Load()
		value = min(1, float64(ongoing)/float64(capacity))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case f.Header.Session == "":
	case len(r.open)+r.answers.len() >= r.limits.Answers:
		r.counters.drop(dropOverload)
	default:
		r.push(answer{to: callerOnly(f.Header), value: value})
	}
}
