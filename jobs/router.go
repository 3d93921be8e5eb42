package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// router chooses the replica for calls between deployments of one
// application. It is shared by the links' goroutines; the event loop only
// exchanges its targets.
type router struct {
	mu      sync.Mutex // guards the following fields
	targets []target
	ongoing map[string]int // by tag
	changed chan struct{}  // closed and replaced when a place may have become free
	waiting int
}

// target is a replica that takes handle calls.
type target struct {
	tag  string
	conn *link.Conn
	max  int
}

const (
	maxHandleWaiting = 1000 // calls waiting for one deployment; more are refused
	handleWait       = 10 * time.Minute
)

func routeKey(app, deployment string) string { return app + "\x00" + deployment }

func (m *Manager) router(app, deployment string) *router {
	v, _ := m.routes.LoadOrStore(routeKey(app, deployment), &router{ongoing: map[string]int{}, changed: make(chan struct{})})
	return v.(*router)
}

func (rt *router) set(targets []target) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.targets = targets
	rt.wake()
}

// wake lets every waiting call look again. The caller holds mu.
func (rt *router) wake() {
	close(rt.changed)
	rt.changed = make(chan struct{})
}

var errHandleQueueFull = errors.New("too many calls wait for this deployment")

// acquire takes a place at the replica with the fewest open calls, waiting
// until there is one.
func (rt *router) acquire(ctx context.Context) (target, error) {
	rt.mu.Lock()
	if rt.waiting >= maxHandleWaiting {
		rt.mu.Unlock()
		return target{}, errHandleQueueFull
	}
	rt.waiting++
	for {
		if t, ok := rt.best(); ok {
			rt.ongoing[t.tag]++
			rt.waiting--
			rt.mu.Unlock()
			return t, nil
		}
		changed := rt.changed
		rt.mu.Unlock()
		select {
		case <-changed:
			rt.mu.Lock()
		case <-ctx.Done():
			rt.mu.Lock()
			rt.waiting--
			rt.mu.Unlock()
			return target{}, ctx.Err()
		}
	}
}

// best is the free target with the fewest open calls. The caller holds mu.
func (rt *router) best() (target, bool) {
	var found target
	least := -1
	for _, t := range rt.targets {
		if n := rt.ongoing[t.tag]; n < t.max && (least < 0 || n < least) {
			found, least = t, n
		}
	}
	return found, least >= 0
}

func (rt *router) release(t target) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.ongoing[t.tag]--; rt.ongoing[t.tag] <= 0 {
		delete(rt.ongoing, t.tag)
	}
	rt.wake()
}

// handle carries one call from a replica to a replica of another deployment
// of the same application, splicing bytes that it does not look into.
func (m *Manager) handle(app string, header link.Header, from *link.Stream) {
	m.counters.HandleCalls.Add(1)
	v, ok := m.routes.Load(routeKey(app, header.Deployment))
	if !ok {
		m.refuseHandle(from, fmt.Sprintf("there is no deployment %.80q in application %s", header.Deployment, app))
		return
	}
	rt := v.(*router)
	ctx, cancel := context.WithTimeout(m.workCtx, handleWait)
	defer cancel()
	t, err := rt.acquire(ctx)
	if err != nil {
		m.refuseHandle(from, fmt.Sprintf("no replica of %s took the call: %v", header.Deployment, err))
		return
	}
	defer rt.release(t)
	to, err := t.conn.Open(ctx, link.Header{Kind: link.KindHandle, Replica: t.tag, Deployment: header.Deployment, Method: header.Method, ID: header.ID})
	if err != nil {
		m.refuseHandle(from, fmt.Sprintf("the replica of %s was lost", header.Deployment))
		return
	}
	splice(from, to, func() {
		m.refuseHandle(from, fmt.Sprintf("ReplicaLost: the replica of %s was lost during the call", header.Deployment))
	})
}

func (m *Manager) refuseHandle(to *link.Stream, text string) {
	if err := link.RefuseHandle(to, "RuntimeError: "+text); err != nil {
		m.log.Debug("a refused handle call was not told so", zap.Error(err))
	}
}

// splice carries the request one way and the answer the other, and calls lost
// when the callee went away before it answered. A caller that closes early
// ends the call in the callee too. Both streams are closed at the end.
func splice(from, to *link.Stream, lost func()) {
	requested := make(chan struct{})
	go func() {
		defer close(requested)
		if copyRequest(from, to) == nil {
			var none [1]byte
			_, _ = from.Read(none[:]) // nothing more comes: this waits for the caller to close
		}
		to.Close()
	}()
	if begun, err := copyAnswer(from, to); err != nil && !begun {
		lost()
	}
	from.Close()
	to.Close()
	<-requested
}

func copyRequest(from, to *link.Stream) error {
	size, err := link.ReadHandleRequest(from)
	if err != nil {
		return err
	}
	if err := link.WriteHandleRequest(to, size); err != nil {
		return err
	}
	_, err = io.CopyN(to, from, size)
	return err
}

func copyAnswer(to, from *link.Stream) (begun bool, err error) {
	status, size, err := link.ReadHandleAnswer(from)
	if err != nil {
		return false, err
	}
	if err := link.WriteHandleAnswer(to, status, size); err != nil {
		return true, err
	}
	_, err = io.CopyN(to, from, size)
	return true, err
}
