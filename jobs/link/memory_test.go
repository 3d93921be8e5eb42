package link

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

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
		for c.mux.NumStreams() > 0 { // quiet streams are closed by the second beat
			time.Sleep(PingPeriod / 10)
		}
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
