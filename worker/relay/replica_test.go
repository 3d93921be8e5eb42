package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// controller is a listening end of links whose replicas serve one relay, as package jobs would have it.
type controller struct {
	t        testing.TB
	relay    *Relay
	endpoint link.Endpoint

	mu  sync.Mutex // guards the following field
	set []Replica
}

func newController(t testing.TB, r *Relay) *controller {
	t.Helper()
	cert, print, err := link.LoadOrCreateKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &controller{t: t, relay: r, endpoint: link.Endpoint{Addresses: []string{l.Addr().String()}, Fingerprint: print}}
	server := link.NewServer(link.ServerConfig{Certificate: cert, Gate: openGate{}, Accept: c.accept, Log: zap.NewNop()})
	serve(t, "link server", func(ctx context.Context) error { return server.Serve(ctx, l) })
	return c
}

// serve runs something until the test ends.
func serve(t testing.TB, what string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	})
}

type openGate struct{}

func (openGate) Admit(context.Context, link.Identity, string) error { return nil }

// accept has one attachment of a replica: the set first, then its messages.
func (c *controller) accept(ctx context.Context, conn *link.Conn) {
	hello, err := conn.Hello(ctx)
	if err != nil {
		c.t.Errorf("hello: %v", err)
		return
	}
	if err := conn.Welcome(ctx, link.Welcome{}); err != nil {
		c.t.Errorf("welcome: %v", err)
		return
	}
	tag := hello.Replicas[0].Tag
	c.change(tag, func(rep *Replica) {
		rep.Link, rep.Live = conn, hello.Replicas[0].Calls
		rep.Attach++
	})
	_ = conn.Run(ctx, receiver{c.relay}) // ends with the link, however that ends
	c.change(tag, func(rep *Replica) {
		if rep.Link == Sender(conn) {
			rep.Link = nil
		}
	})
}

// change publishes a set in which one replica is different; one that is not there is added.
func (c *controller) change(tag string, change func(*Replica)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.set, func(rep Replica) bool { return rep.Tag == tag })
	if i < 0 {
		c.set = append(c.set, Replica{Tag: tag, MaxOngoing: 100})
		i = len(c.set) - 1
	}
	change(&c.set[i])
	c.relay.SetReplicas(slices.Clone(c.set))
}

func (c *controller) lose(tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = slices.DeleteFunc(c.set, func(rep Replica) bool { return rep.Tag == tag })
	c.relay.SetReplicas(slices.Clone(c.set))
}

// receiver is the controller's handler of a link.
type receiver struct{ relay *Relay }

func (h receiver) Message(m *link.Message)            { h.relay.FromReplica(context.Background(), m) }
func (receiver) Control(link.Control)                 {}
func (receiver) Stream(_ link.Header, s *link.Stream) { _ = s.Close() }

// program is a small replica in Go at the far end of a real link: it answers echo, where, hang, sleep and report.
type program struct {
	t    testing.TB
	tag  string
	ctl  *controller
	wait sync.WaitGroup

	mu        sync.Mutex // guards the following fields
	conn      *link.Conn
	open      map[string]bool
	ran       []int64                  // arguments of hang
	replies   map[string]chan []byte   // of callbacks, by session
	cancelled map[string]chan struct{} // of calls
	told      []link.Control
	resume    chan struct{} // hang waits for it
}

func startProgram(t testing.TB, ctl *controller, tag string) *program {
	t.Helper()
	p := &program{
		t: t, tag: tag, ctl: ctl, open: map[string]bool{}, replies: map[string]chan []byte{},
		cancelled: map[string]chan struct{}{}, resume: make(chan struct{}),
	}
	p.dial()
	t.Cleanup(func() {
		p.kill()
		p.wait.Wait()
	})
	return p
}

// dial attaches, or attaches again with what is open.
func (p *program) dial() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := link.Dial(ctx, link.DialConfig{Endpoint: p.ctl.endpoint, Identity: link.Identity{Allocation: p.tag, Key: "k"}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.conn = conn
	live := link.Live{Tag: p.tag, State: link.StateReady}
	for call := range p.open {
		live.Calls = append(live.Calls, call)
	}
	p.mu.Unlock()
	if _, err := conn.Greet(ctx, link.Hello{Version: link.Version, Allocation: p.tag, Replicas: []link.Live{live}}); err != nil {
		p.t.Fatal(err)
	}
	p.wait.Go(func() {
		_ = conn.Run(context.Background(), p) // until kill or blip
		conn.Close("over")
	})
}

// kill ends the replica as a crash does: nothing is answered any more.
func (p *program) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn.Close("killed")
	for call, done := range p.cancelled {
		close(done)
		delete(p.cancelled, call)
	}
}

func (p *program) running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ran)
}

func (p *program) Control(c link.Control) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, c)
	if done := p.cancelled[c.Call]; c.Type == link.ControlCancel && done != nil {
		close(done)
		delete(p.cancelled, c.Call)
	}
}

func (p *program) Stream(_ link.Header, s *link.Stream) { _ = s.Close() }

func (p *program) Message(m *link.Message) {
	data := m.Data
	if m.Reader != nil {
		data = make([]byte, m.Size)
		if _, err := io.ReadFull(m.Reader, data); err != nil {
			return // aborted
		}
	}
	h, n, err := hypha.ParseHeader(data)
	if err != nil {
		p.t.Errorf("%s cannot read a header: %v", p.tag, err)
		return
	}
	if strings.HasSuffix(h.Method, ".heartbeat") {
		return // of a callback that its caller works on
	}
	if session, ok := strings.CutSuffix(h.Method, ".resolve"); ok {
		p.mu.Lock()
		reply := p.replies[session]
		delete(p.replies, session)
		p.mu.Unlock()
		reply <- data[n:]
		return
	}
	cancelled := make(chan struct{})
	p.mu.Lock()
	p.open[m.Call] = true
	p.cancelled[m.Call] = cancelled
	p.mu.Unlock()
	p.wait.Go(func() { p.serve(h, data[n:], m.Call, cancelled) })
}

// serve runs one call and answers it, unless it is cancelled.
func (p *program) serve(h hypha.Header, extra []byte, call string, cancelled <-chan struct{}) {
	value, ok := p.work(h, extra, cancelled)
	p.mu.Lock()
	delete(p.open, call)
	delete(p.cancelled, call)
	p.mu.Unlock()
	if !ok {
		return
	}
	answer := hypha.Header{Type: "method", To: h.From, Method: h.Session + ".resolve", Parent: h.Session}.Append(nil)
	answer = append(append(answer, "\x81\xa4args\x91"...), value...)
	p.send(&link.Message{Replica: p.tag, Call: call, Ends: true, Data: answer})
}

func (p *program) send(m *link.Message) {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if err := conn.Send(context.Background(), m); err != nil && !errors.Is(err, link.ErrClosed) {
		p.t.Errorf("%s cannot send: %v", p.tag, err)
	}
}

// arguments are those of a call, still packed.
func arguments(extra []byte) []msgpack.RawMessage {
	var message struct {
		Args []msgpack.RawMessage `msgpack:"args"`
	}
	if err := msgpack.Unmarshal(extra, &message); err != nil {
		panic(err)
	}
	for i, arg := range message.Args {
		if len(arg) == 0 { // what the decoder makes of nil
			message.Args[i] = msgpack.RawMessage{0xc0}
		}
	}
	return message.Args
}

func (p *program) work(h hypha.Header, extra []byte, cancelled <-chan struct{}) (value []byte, ok bool) {
	args := arguments(extra)
	switch strings.TrimPrefix(h.Method, "services.demo.") {
	case "echo":
		return args[0], true
	case "where":
		return pack(p.tag), true
	case "hang":
		p.mu.Lock()
		p.ran = append(p.ran, integer(args[0]))
		resume := p.resume
		p.mu.Unlock()
		select {
		case <-resume:
			return args[0], true
		case <-cancelled:
			return nil, false
		}
	case "sleep":
		select {
		case <-time.After(time.Duration(integer(args[0])) * time.Second):
			return args[0], true
		case <-cancelled:
			return nil, false
		}
	case "report":
		return p.report(h, args[0]), true
	}
	p.t.Errorf("unknown method %s", h.Method)
	return nil, false
}

// report calls the caller's callback three times and returns what it said.
func (p *program) report(h hypha.Header, callback msgpack.RawMessage) []byte {
	var ref struct {
		Method string `msgpack:"_rmethod"`
	}
	if err := msgpack.Unmarshal(callback, &ref); err != nil {
		panic(err)
	}
	answers := []byte{0x93}
	for i := range 3 {
		session := fmt.Sprintf("%s-%s-%d", p.tag, h.Session, i)
		reply := make(chan []byte, 1)
		p.mu.Lock()
		p.replies[session] = reply
		p.mu.Unlock()
		head := hypha.Header{Type: "method", To: h.From, Method: ref.Method, Session: session, Parent: h.Session}.Append(nil)
		extra := pack(map[string]any{"args": []any{i}, "promise": "*", "t": 5})
		p.send(&link.Message{Replica: p.tag, Data: append(head, extra...)})
		answers = append(answers, arguments(<-reply)[0]...)
	}
	return answers
}

func integer(raw msgpack.RawMessage) (n int64) {
	if err := msgpack.Unmarshal(raw, &n); err != nil {
		panic(err)
	}
	return n
}
