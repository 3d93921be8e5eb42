package link

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
)

// tokenGate is a small real gate: it binds each allocation's token to the first key that shows it.
type tokenGate struct {
	mu     sync.Mutex
	tokens map[string]string   // by allocation
	keys   map[string][32]byte // hash of the bound key, by allocation
	fenced map[string]bool
}

func newTokenGate() *tokenGate {
	return &tokenGate{tokens: map[string]string{}, keys: map[string][32]byte{}, fenced: map[string]bool{}}
}

func (g *tokenGate) add(allocation, token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[allocation] = token
}

func (g *tokenGate) Admit(_ context.Context, id Identity, _ string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	token, known := g.tokens[id.Allocation]
	if !known {
		return &Refusal{CodeUnknownAllocation, "no such allocation"}
	}
	if g.fenced[id.Allocation] {
		return &Refusal{CodeSuperseded, "given up"}
	}
	hash := sha256.Sum256([]byte(id.Key))
	bound, joined := g.keys[id.Allocation]
	if joined && subtle.ConstantTimeCompare(bound[:], hash[:]) != 1 {
		return &Refusal{CodeUsedToken, "bound to another key"}
	}
	if !joined && subtle.ConstantTimeCompare([]byte(token), []byte(id.Token)) != 1 {
		return &Refusal{CodeBadToken, "wrong token"}
	}
	g.keys[id.Allocation] = hash
	return nil
}

// site is a listening controller of the test.
type site struct {
	endpoint Endpoint
	gate     *tokenGate
	arrived  chan *Conn // after Hello and Welcome; the test runs it
	hellos   chan Hello
	stop     func()
}

type siteOption func(*ServerConfig)

func newSite(t testing.TB, keyFile, address string, options ...siteOption) *site {
	t.Helper()
	cert, print, err := LoadOrCreateKey(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{
		endpoint: Endpoint{Addresses: []string{l.Addr().String()}, Fingerprint: print},
		gate:     newTokenGate(), arrived: make(chan *Conn, 16), hellos: make(chan Hello, 16),
	}
	config := ServerConfig{Certificate: cert, Gate: s.gate, Accept: s.accept, Log: testLog(t)}
	for _, o := range options {
		o(&config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- NewServer(config).Serve(ctx, l) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func testLog(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
}

// accept greets and keeps the connection until it has ended.
func (s *site) accept(ctx context.Context, c *Conn) {
	hello, err := c.Hello(ctx)
	if err != nil {
		return
	}
	if err := c.Welcome(ctx, Welcome{Epoch: 7}); err != nil {
		return
	}
	s.hellos <- hello
	s.arrived <- c
	<-c.Done()
}

func (s *site) dial(t testing.TB, id Identity) (*Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return Dial(ctx, DialConfig{Endpoint: s.endpoint, Identity: id})
}

// recorder is a Handler that hands everything to the test.
type recorder struct {
	controls chan Control
	messages chan *Message
	message  func(*Message)
	stream   func(Header, *Stream)
}

func newRecorder() *recorder {
	return &recorder{controls: make(chan Control, 64), messages: make(chan *Message, 64)}
}

func (r *recorder) Control(c Control) { r.controls <- c }

func (r *recorder) Message(m *Message) {
	if r.message != nil {
		r.message(m)
		return
	}
	r.messages <- m
}

func (r *recorder) Stream(h Header, s *Stream) {
	if r.stream != nil {
		r.stream(h, s)
	}
}

// pair is a greeted link with both ends running.
type pair struct {
	site              *site
	agent, controller *Conn
	ended             chan error // one from each end
}

func newPair(t testing.TB, atAgent, atController Handler, options ...siteOption) *pair {
	t.Helper()
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0", options...)
	s.gate.add("a", "token")
	agent, err := s.dial(t, Identity{Allocation: "a", Token: "token", Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Greet(t.Context(), Hello{Version: Version, Allocation: "a"}); err != nil {
		t.Fatal(err)
	}
	p := &pair{site: s, agent: agent, controller: <-s.arrived, ended: make(chan error, 2)}
	var running sync.WaitGroup
	running.Go(func() { p.ended <- p.agent.Run(context.Background(), atAgent) })
	running.Go(func() { p.ended <- p.controller.Run(context.Background(), atController) })
	t.Cleanup(func() {
		p.agent.Close("test over")
		running.Wait()
	})
	return p
}

func wantRefusal(t *testing.T, err error, code string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("got %v, want refusal %s", err, code)
	}
}
