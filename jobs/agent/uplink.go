package agent

import (
	"context"
	"errors"
	"sync"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// maxEvents bounds the events that wait for a slow link. When there are more the link is closed: the next greeting
// tells the state as a whole.
const maxEvents = 256

// uplink is the link to the controller as replicas see it: there, or not there at the moment. Its lock also guards the
// state of the replicas, so that a greeting and the events after it fit together.
type uplink struct {
	over signal // there will be no link any more

	mu     sync.Mutex // guards the following fields
	conn   *link.Conn
	up     chan struct{} // closed while there is a link
	events chan event    // nil when nobody has greeted; closed when it is given up
}

// event is a control message on its way, or a mark (sent is set) that is reached when all before it are sent.
type event struct {
	control link.Control
	sent    chan<- struct{}
}

func newUplink() *uplink { return &uplink{over: newSignal(), up: make(chan struct{})} }

var errNoController = errors.New("there is no controller any more")

// get returns the link, and waits for one while there is none and may be one.
func (u *uplink) get(ctx context.Context) (*link.Conn, error) {
	for {
		u.mu.Lock()
		conn, up := u.conn, u.up
		u.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-up:
		case <-u.over.c:
			return nil, errNoController
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// greet opens the queue of events and returns the state as it is then: what happens later is told as an event, after
// the greeting.
func (u *uplink) greet(state func() []link.Live) ([]link.Live, <-chan event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.events = make(chan event, maxEvents)
	return state(), u.events
}

// set makes a greeted link the one to use.
func (u *uplink) set(conn *link.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn = conn
	close(u.up)
}

// clear says that the link is gone, or that the greeting failed.
func (u *uplink) clear() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != nil {
		u.up = make(chan struct{})
	}
	u.conn = nil
	u.giveUp()
}

func (u *uplink) giveUp() {
	if u.events != nil {
		close(u.events)
		u.events = nil
	}
}

// change runs a change of state under the lock and queues the events that tell about it. While there is no link they
// are dropped, since the next greeting tells the new state. It never waits for the network.
func (u *uplink) change(f func() []link.Control) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range f() {
		u.queue(event{control: c})
	}
}

func (u *uplink) queue(e event) {
	select {
	case u.events <- e: // never ready while events is nil
	default:
		u.giveUp()
	}
}

// told waits until the controller has been sent the present state.
func (u *uplink) told(ctx context.Context) error {
	for {
		conn, err := u.get(ctx)
		if err != nil {
			return err
		}
		sent := make(chan struct{})
		u.mu.Lock()
		u.queue(event{sent: sent})
		u.mu.Unlock()
		select {
		case <-sent:
			return nil
		case <-conn.Done():
			continue
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sendEvents sends what is queued until the queue is closed or the link fails. A queue that was given up ends the link.
func sendEvents(ctx context.Context, conn *link.Conn, events <-chan event) {
	for e := range events {
		if e.sent != nil {
			close(e.sent)
			continue
		}
		if err := conn.Control(ctx, e.control); err != nil {
			return // the link has ended
		}
	}
	conn.Close("the agent has more to tell than the link takes")
}
