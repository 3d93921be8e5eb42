package link

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// dialEnv makes the test binary play many idle agents: it holds the Endpoint as JSON.
const dialEnv = "BIOENGINE_TEST_DIAL"

func TestMain(m *testing.M) {
	if spec := os.Getenv(dialEnv); spec != "" {
		if err := playAgents(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crowd is how many agents to play, and what each of them does before it falls silent.
type crowd struct {
	Endpoint Endpoint
	Name     string
	Agents   int
}

func playAgents(spec string) error {
	var c crowd
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	limit := make(chan struct{}, 4) // joining at a time
	failed := make(chan error, c.Agents)
	var joined sync.WaitGroup
	for i := range c.Agents {
		limit <- struct{}{}
		joined.Go(func() {
			defer func() { <-limit }()
			if err := playAgent(c.Endpoint, c.Name+strconv.Itoa(i)); err != nil {
				failed <- err
			}
		})
	}
	joined.Wait()
	if len(failed) > 0 {
		return <-failed
	}
	fmt.Println("joined")
	_, err := io.Copy(io.Discard, os.Stdin) // until the test has measured
	return err
}

// playAgent joins, logs a line, and answers each message, as an agent with one replica does.
func playAgent(e Endpoint, allocation string) error {
	conn, err := Dial(context.Background(), DialConfig{Endpoint: e, Identity: Identity{allocation, "token", "key"}})
	if err != nil {
		return err
	}
	if _, err := conn.Greet(context.Background(), Hello{Version: Version, Allocation: allocation}); err != nil {
		return err
	}
	log, err := conn.Open(context.Background(), Header{Kind: KindLog, Replica: allocation})
	if err != nil {
		return err
	}
	defer log.Close() // as a quiet agent does
	if err := WriteLog(log, LogRecord{Stream: Stdout, Time: time.Now(), Text: "started"}); err != nil {
		return err
	}
	go conn.Run(context.Background(), &echo{conn: conn})
	return nil
}

// echo sends each message back.
type echo struct{ conn *Conn }

func (e *echo) Control(Control) {}
func (e *echo) Message(m *Message) {
	_ = e.conn.Send(context.Background(), &Message{Replica: m.Replica, Call: m.Call, Ends: true, Data: m.Data, Reader: m.Reader, Size: m.Size})
}
func (e *echo) Stream(Header, *Stream) {}

// listener is what jobs does with an agent: it reads its log.
type listener struct{ answers chan *Message }

func (l *listener) Control(Control)    {}
func (l *listener) Message(m *Message) { l.answers <- m }
func (l *listener) Stream(_ Header, s *Stream) {
	for {
		if _, err := ReadLog(s); err != nil {
			return
		}
	}
}

// TestIdleAgentsCostLittle holds the goal of 50 KB of controller memory per idle agent, after each has answered a call.
// A smaller crowd joins first, so that what the process needs once is not counted.
func TestIdleAgentsCostLittle(t *testing.T) {
	first, agents := 100, 1000
	if raceEnabled { // whose memory says nothing: only that many agents are served
		first, agents = 10, 100
	}
	town := newTown(t)
	town.join(t, "first", first)
	before := measure()
	conns := town.join(t, "agent", agents)
	town.call(t, conns, 200)
	used := measure()
	town.call(t, conns, 200<<10)
	big := measure()
	t.Logf("per agent after a call: %s; after a call of 200 KiB: %s",
		used.minus(before).per(int64(agents)), big.minus(before).per(int64(agents)))
	if got := used.minus(before).per(int64(agents)); !raceEnabled && got.rss > 50_000 {
		t.Errorf("an idle agent costs %d bytes, goal 50,000", got.rss)
	}
	runtime.KeepAlive(conns)
}

// town is a controller with many agents that live in processes of their own.
type town struct {
	site    *site
	ready   chan *Conn
	answers chan *Message
}

func newTown(t *testing.T) *town {
	town := &town{ready: make(chan *Conn, 16), answers: make(chan *Message, 16)}
	town.site = newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0", func(c *ServerConfig) {
		c.Accept = func(ctx context.Context, conn *Conn) {
			if _, err := conn.Hello(ctx); err != nil {
				return
			}
			if err := conn.Welcome(ctx, Welcome{}); err != nil {
				return
			}
			town.ready <- conn
			_ = conn.Run(ctx, &listener{town.answers})
		}
	})
	return town
}

// join brings n agents up, each of which has logged a line.
func (town *town) join(t *testing.T, name string, n int) []*Conn {
	t.Helper()
	for i := range n {
		town.site.gate.add(name+strconv.Itoa(i), "token")
	}
	t.Cleanup(startCrowd(t, crowd{town.site.endpoint, name, n}))
	conns := make([]*Conn, n)
	for i := range conns {
		conns[i] = <-town.ready
	}
	return conns
}

// call lets each agent answer one message and then fall silent.
func (town *town) call(t *testing.T, conns []*Conn, size int) {
	t.Helper()
	for _, c := range conns {
		if err := c.Send(t.Context(), &Message{Replica: "r", Call: "c", Opens: true, Data: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
		<-town.answers
	}
	for _, c := range conns {
		for c.mux.NumStreams() > 1 { // quiet streams are closed by the second beat
			time.Sleep(PingPeriod / 10)
		}
	}
}

func startCrowd(t *testing.T, c crowd) (stop func()) {
	t.Helper()
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dialEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) != "joined" {
		cmd.Wait()
		t.Fatalf("the agents did not join: %q, %v", line, err)
	}
	return func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	}
}

type usage struct{ heap, stack, rss int64 }

func (u usage) minus(v usage) usage { return usage{u.heap - v.heap, u.stack - v.stack, u.rss - v.rss} }
func (u usage) per(n int64) usage   { return usage{u.heap / n, u.stack / n, u.rss / n} }
func (u usage) String() string {
	return fmt.Sprintf("%d bytes resident (heap %d, stacks %d)", u.rss, u.heap, u.stack)
}

// measure returns what the process holds after garbage has been given back.
func measure() usage {
	for range 3 { // stacks shrink by half per collection
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return usage{int64(m.HeapAlloc), int64(m.StackInuse), kilobytes << 10}
}
