package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	app    = "demo"
	client = "ws-home/worker-1234"
	alice  = "ws-alice/notebook"
	bob    = "ws-bob/notebook"
)

// rig is a relay between a recorded Hypha connection and recorded links. It runs in a synctest bubble: time stands
// still until all goroutines wait.
type rig struct {
	t     *testing.T
	relay *Relay
	up    *connection
	set   []Replica
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	config := Config{App: app, Client: client, MaxOngoing: 10, Policy: everybody{}}
	if change != nil {
		change(&config)
	}
	r, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t, relay: r, up: &connection{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, g.up) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return g
}

// bubble runs a test with a rig.
func bubble(t *testing.T, change func(*Config), run func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(newRig(t, change)) })
}

// add puts a replica into the set.
func (g *rig) add(tag string, limit int) *wire {
	w := newWire()
	g.set = append(g.set, Replica{Tag: tag, MaxOngoing: limit, Attach: 1, Link: w})
	g.publish()
	return w
}

func (g *rig) change(tag string, change func(*Replica)) {
	for i := range g.set {
		if g.set[i].Tag == tag {
			change(&g.set[i])
		}
	}
	g.publish()
}

// attach gives the replica a new link on which it lists the calls.
func (g *rig) attach(tag string, live ...string) *wire {
	w := newWire()
	g.change(tag, func(rep *Replica) {
		rep.Link, rep.Live = w, live
		rep.Attach++
	})
	return w
}

func (g *rig) unlink(tag string) { g.change(tag, func(rep *Replica) { rep.Link = nil }) }

func (g *rig) lose(tag string) {
	g.set = slices.DeleteFunc(g.set, func(rep Replica) bool { return rep.Tag == tag })
	g.publish()
}

func (g *rig) publish() {
	g.relay.SetReplicas(slices.Clone(g.set))
	synctest.Wait()
}

// call lets a peer call the application's method `work`.
func (g *rig) call(peer, session string) { g.route(workFrame(peer, session)) }

func (g *rig) route(f hypha.Frame) {
	g.relay.Route(f)
	synctest.Wait()
}

// reply lets a replica answer.
func (g *rig) reply(tag, peer, session string) {
	g.emit(tag, hypha.Header{Type: "method", To: peer, Method: session + ".resolve", Parent: session})
}

func (g *rig) emit(tag string, h hypha.Header) {
	g.relay.FromReplica(context.Background(), &link.Message{Replica: tag, Data: append(h.Append(nil), "\x80"...)})
	synctest.Wait()
}

// errorOf is the one rejection of a session.
func (g *rig) errorOf(session string) string {
	g.t.Helper()
	var texts []string
	for _, a := range g.up.answers() {
		if a.session == session && a.err != nil {
			texts = append(texts, a.err.Error())
		}
	}
	if len(texts) != 1 {
		g.t.Fatalf("session %s was rejected %d times: %q", session, len(texts), texts)
	}
	return texts[0]
}

// empty fails unless every table is.
func (g *rig) empty() {
	g.t.Helper()
	synctest.Wait()
	s := g.relay.Stats()
	if s.Open+s.Waiting+s.Ongoing != 0 || s.HeldBytes != 0 {
		g.t.Errorf("not empty: %+v", s)
	}
	if s.Accepted != s.Answered+s.Failed+s.Left {
		g.t.Errorf("accepted calls do not add up: %+v", s)
	}
	r := g.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rep := range r.replicas {
		if rep.ongoing != 0 || rep.box.len() != 0 || rep.box.frames != 0 || rep.box.carriers != 0 {
			g.t.Errorf("replica %s not empty: %+v", rep.tag, rep)
		}
	}
	if len(r.callers) != 0 || r.sessions != 0 || r.answers.len() != 0 {
		g.t.Errorf("left behind: %d callers, %d sessions, %d answers", len(r.callers), r.sessions, r.answers.len())
	}
	for p, c := range r.contacts.all {
		if c.calls != 0 {
			g.t.Errorf("contact %v has %d calls", p, c.calls)
		}
	}
}

func (g *rig) dropped(reason string) uint64 { return g.relay.Stats().Dropped[reason] }

// workFrame is a call of `work` with a heartbeat interval of 5 s.
func workFrame(peer, session string) hypha.Frame {
	return frame(peer, "services.demo.work", session, map[string]any{"args": []any{1}, "promise": "*", "t": 5.0})
}

func frame(peer, method, session string, extra map[string]any) hypha.Frame {
	var data []byte
	if extra != nil {
		data = pack(extra)
	}
	user := pack(map[string]any{"id": "user-" + peer, "email": peer + "@example.org", "roles": []string{}})
	return hypha.Frame{
		Header: hypha.Header{
			Type: "method", From: peer, To: client, Method: method, Session: session,
			Workspace: strings.SplitN(peer, "/", 2)[0], User: user,
		},
		Extra: hypha.Payload{Data: data},
	}
}

func pack(v any) []byte {
	b, err := msgpack.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

type everybody struct{}

func (everybody) Allow(hypha.User, string) error { return nil }

// only admits one user.
type only string

func (o only) Allow(u hypha.User, method string) error {
	if u.ID != string(o) {
		return hypha.Errorf("PermissionError", "User '%s' (%s) is not authorized to call '%s'", u.ID, u.Email, method)
	}
	return nil
}

// connection records what the relay sends to Hypha.
type connection struct {
	mu     sync.Mutex
	frames []sent
	own    []ownAnswer
	beats  []string
	fail   error         // of Send
	gate   chan struct{} // Send waits for it
	stuck  chan struct{} // Resolve and Reject wait for it
}

type sent struct {
	header hypha.Header
	extra  []byte // of a payload in memory
	size   int64
	err    error
}

type ownAnswer struct {
	to, session string
	value       any
	err         error
}

func (c *connection) Send(ctx context.Context, h hypha.Header, p hypha.Payload) error {
	c.mu.Lock()
	fail, gate := c.fail, c.gate
	c.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s := sent{header: h, size: p.Len(), err: fail}
	switch {
	case p.Reader == nil:
		s.extra = slices.Clone(p.Data)
	case fail == nil:
		if n, err := io.Copy(io.Discard, readerIn(ctx, p.Reader)); err != nil || n != p.Size {
			s.err = errors.Join(err, fmt.Errorf("payload has %d of %d bytes", n, p.Size))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = append(c.frames, s)
	return s.err
}

func (c *connection) wait(ctx context.Context) error {
	if c.stuck == nil {
		return nil
	}
	select {
	case <-c.stuck:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *connection) Resolve(ctx context.Context, to hypha.Header, value any) error {
	if err := c.wait(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = append(c.own, ownAnswer{to: to.From, session: to.Session, value: value})
	return nil
}

func (c *connection) Reject(ctx context.Context, to hypha.Header, err error) error {
	if err := c.wait(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = append(c.own, ownAnswer{to: to.From, session: to.Session, err: err})
	return nil
}

func (c *connection) Heartbeat(_ context.Context, to hypha.Header) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beats = append(c.beats, to.Session)
	return nil
}

func (c *connection) sent() []sent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

func (c *connection) answers() []ownAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.own)
}

func (c *connection) beatsOf(session string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.beats {
		if s == session {
			n++
		}
	}
	return n
}

// wire records what the relay sends to a replica.
type wire struct {
	mu       sync.Mutex
	messages []link.Message // Data holds all bytes but those of large ones
	controls []link.Control
	fail     error
	gate     chan struct{} // Send waits for it
	done     chan struct{}
}

func newWire() *wire { return &wire{done: make(chan struct{})} }

func (w *wire) Done() <-chan struct{} { return w.done }

func (w *wire) Send(ctx context.Context, m *link.Message) error {
	w.mu.Lock()
	gate := w.gate
	w.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mu.Lock()
	fail := w.fail
	w.mu.Unlock()
	if fail != nil {
		return fail
	}
	got := *m
	if m.Reader == nil {
		got.Data = slices.Concat(m.Head, m.Data)
	} else if n, err := io.Copy(io.Discard, readerIn(ctx, m.Reader)); err != nil || n != m.Size {
		return errors.Join(err, fmt.Errorf("payload has %d of %d bytes", n, m.Size))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages = append(w.messages, got)
	return nil
}

func (w *wire) Control(_ context.Context, c link.Control) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.controls = append(w.controls, c)
	return w.fail
}

// calls are the keys of the calls that were opened on the wire, in order.
func (w *wire) calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var keys []string
	for _, m := range w.messages {
		if m.Opens {
			keys = append(keys, m.Call)
		}
	}
	return keys
}

// told are the control messages as "type subject".
func (w *wire) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for _, c := range w.controls {
		texts = append(texts, strings.ReplaceAll(c.Type+" "+c.Call+c.Peer, "\x00", "|"))
	}
	return texts
}

// header is the header of the n-th message.
func (w *wire) header(t *testing.T, n int) (hypha.Header, []byte) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.messages) <= n {
		t.Fatalf("only %d messages arrived", len(w.messages))
	}
	data := w.messages[n].Data
	h, size, err := hypha.ParseHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	return h, data[size:]
}

// readerIn fails once ctx ends, as a link does.
func readerIn(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// key is the call key of a peer's session.
func key(peer, session string) string { return peer + "\x00" + session }

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
