package agent

import (
	"context"
	"crypto/sha256"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	tag      = "r1x1"
	patience = 20 * time.Second
)

// controller is the other end of the link, played by the test. It may be stopped and started again.
type controller struct {
	t      testing.TB
	dir    string // key, endpoint, allocation
	assign link.Assign

	hellos   chan link.Hello
	events   chan link.Control
	messages chan *link.Message // small ones
	large    chan int           // sizes of large ones, whose bytes are all equal
	handle   func(link.Header, *link.Stream)

	mu      sync.Mutex // guards the following fields
	lines   []link.LogRecord
	conn    *link.Conn
	known   [32]byte // hash of the agent's key
	refuse  error
	address string
	stop    func()
}

func newController(t testing.TB, assign link.Assign) *controller {
	c := &controller{
		t: t, dir: t.TempDir(), assign: assign, address: "127.0.0.1:0",
		hellos: make(chan link.Hello, 16), events: make(chan link.Control, 1024),
		messages: make(chan *link.Message, 4096), large: make(chan int, 16),
	}
	for _, d := range []string{"allocation", "endpoint"} {
		if err := os.Mkdir(filepath.Join(c.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c.write("allocation/allocation.json", `{"allocation":"alloc","application":"app","deployment":"D"}`)
	c.write("allocation/token", "token\n")
	c.start()
	t.Cleanup(func() { c.stop() })
	return c
}

func (c *controller) write(name, text string) {
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// start listens where it listened before.
func (c *controller) start() {
	cert, print, err := link.LoadOrCreateKey(filepath.Join(c.dir, "key"))
	if err != nil {
		c.t.Fatal(err)
	}
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = l.Addr().String()
	e := link.Endpoint{Addresses: []string{c.address}, Fingerprint: print, Epoch: 1}
	if err := link.WriteEndpoint(filepath.Join(c.dir, "endpoint"), e); err != nil {
		c.t.Fatal(err)
	}
	server := link.NewServer(link.ServerConfig{Certificate: cert, Gate: c, Accept: c.accept, Log: zap.NewNop()})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			c.t.Error(err)
		}
	})
}

// Admit binds the token to the first key, as jobs does.
func (c *controller) Admit(_ context.Context, id link.Identity, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	hash := sha256.Sum256([]byte(id.Key))
	switch {
	case c.refuse != nil:
		return c.refuse
	case c.known == [32]byte{} && id.Token == "token":
		c.known = hash
	case c.known != hash:
		return &link.Refusal{Code: link.CodeBadToken, Message: "wrong token or key"}
	}
	return nil
}

func (c *controller) accept(ctx context.Context, conn *link.Conn) {
	hello, err := conn.Hello(ctx)
	if err != nil {
		return
	}
	var welcome link.Welcome
	if len(hello.Replicas) == 0 {
		welcome.Assign = []link.Assign{c.assign}
	}
	if err := conn.Welcome(ctx, welcome); err != nil {
		return
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	c.hellos <- hello
	_ = conn.Run(ctx, c)
}

func (c *controller) Control(m link.Control) { c.events <- m }

func (c *controller) Message(m *link.Message) {
	if m.Reader == nil {
		c.messages <- m
		return
	}
	size, buf := 0, make([]byte, 1<<16)
	for {
		n, err := m.Reader.Read(buf)
		size += n
		if err != nil {
			break
		}
	}
	c.large <- size
}

func (c *controller) Stream(h link.Header, s *link.Stream) {
	if h.Kind == link.KindHandle {
		c.handle(h, s)
		return
	}
	for {
		r, err := link.ReadLog(s)
		if err != nil {
			return
		}
		c.mu.Lock()
		c.lines = append(c.lines, r)
		c.mu.Unlock()
	}
}

func (c *controller) link() *link.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// call opens a call in the replica; the first word of text says what it does there.
func (c *controller) call(key, text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.link().Send(ctx, &link.Message{Replica: tag, Call: key, Opens: true, Data: []byte(text)}); err != nil {
		c.t.Fatal(err)
	}
}

// answer waits for the message that settles a call.
func (c *controller) answer(key string) string {
	c.t.Helper()
	m := c.message()
	if m.Call != key || !m.Ends {
		c.t.Fatalf("got %q of call %q, want the answer of %q", m.Data, m.Call, key)
	}
	return string(m.Data)
}

func (c *controller) message() *link.Message {
	c.t.Helper()
	return receive(c.t, c.messages, "a message")
}

// event waits for the next event of the kind; others before it are passed over.
func (c *controller) event(kind string) link.Control {
	c.t.Helper()
	for {
		m := receive(c.t, c.events, "event "+kind)
		if m.Event == kind {
			return m
		}
		if kind == link.EventReady && m.Event == link.EventFailed {
			c.t.Fatalf("the replica failed: %+v", m)
		}
	}
}

// line waits for a line of output.
func (c *controller) line(text string) link.LogRecord {
	c.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		for _, r := range c.lines {
			if r.Text == text {
				c.mu.Unlock()
				return r
			}
		}
		c.mu.Unlock()
	}
	c.t.Fatalf("line %q did not come", text)
	return link.LogRecord{}
}

func (c *controller) tell(m link.Control) {
	c.t.Helper()
	if err := c.link().Control(context.Background(), m); err != nil {
		c.t.Fatal(err)
	}
}
