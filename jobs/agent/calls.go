package agent

import (
	"slices"
	"sync"
)

// maxEarly bounds the cancellations kept for calls that have not come; beyond it the oldest is forgotten: most came
// after their call had ended.
const maxEarly = 256

type callState uint8

const (
	callArriving callState = iota // its message is being passed to Python
	callOpen
	callUnwanted // cancelled while it was arriving
)

// calls are the open calls of a replica: started by a message to Python, settled by one from it. Their number is
// bounded by the controller's admission.
type calls struct {
	mu    sync.Mutex // guards the following fields
	open  map[string]callState
	early []string // cancelled before they came: control messages overtake large ones
}

func newCalls() *calls { return &calls{open: map[string]callState{}} }

// begin notes a call whose message arrives. false: it was cancelled already and must not run.
func (c *calls) begin(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.early, key); i >= 0 {
		c.early = slices.Delete(c.early, i, i+1)
		return false
	}
	c.open[key] = callArriving
	return true
}

// arrived says that Python has the whole call, or will never have it. true: cancel it now.
func (c *calls) arrived(key string, whole bool) (cancel bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state, known := c.open[key]
	switch {
	case !known: // settled already
	case !whole:
		delete(c.open, key)
	default:
		c.open[key] = callOpen
		return state == callUnwanted
	}
	return false
}

// cancel says whether Python can be told now; else the cancellation is kept for the call's arrival.
func (c *calls) cancel(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	state, known := c.open[key]
	switch {
	case known && state == callOpen:
		return true
	case known:
		c.open[key] = callUnwanted
	default:
		c.early = append(c.early[max(0, len(c.early)-maxEarly+1):], key)
	}
	return false
}

// settle takes a call off the list: its answer is on its way, or lost.
func (c *calls) settle(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, key)
}

// keys lists the open calls.
func (c *calls) keys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := make([]string, 0, len(c.open))
	for key := range c.open {
		keys = append(keys, key)
	}
	return keys
}
