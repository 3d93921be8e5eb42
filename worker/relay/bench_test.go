package relay

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// BenchmarkCall is a call in and its answer out, one at a time: what the relay adds, with its own goroutine switch but
// without sockets.
func BenchmarkCall(b *testing.B) {
	for _, replicas := range []int{1, 1000} {
		b.Run(fmt.Sprint(replicas, "_replicas"), func(b *testing.B) {
			e := newEcho(b, replicas)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e.relay.Route(e.frame(i))
				<-e.done
			}
		})
	}
}

// BenchmarkCalls is many calls at once.
func BenchmarkCalls(b *testing.B) {
	e := newEcho(b, 4)
	b.ReportAllocs()
	open := 0
	for i := 0; b.Loop(); i++ {
		if open == 64 {
			<-e.done
			open--
		}
		e.relay.Route(e.frame(i))
		open++
	}
	for ; open > 0; open-- {
		<-e.done
	}
}

// echo is a relay whose replicas answer on the spot.
type echo struct {
	relay    *Relay
	template hypha.Frame
	sessions []string
	done     chan struct{}
}

func newEcho(b *testing.B, replicas int) *echo {
	r, err := New(Config{App: app, Client: client, MaxOngoing: 1000, Policy: everybody{}})
	if err != nil {
		b.Fatal(err)
	}
	e := &echo{relay: r, template: workFrame(alice, "s"), done: make(chan struct{}, 1000)}
	for i := range 1 << 18 { // many, since a session that is open must not come again
		e.sessions = append(e.sessions, fmt.Sprintf("session-%016d", i))
	}
	serve(b, "relay", func(ctx context.Context) error { return r.Run(ctx, (*echoUpstream)(e)) })
	set := make([]Replica, replicas)
	for i := range set {
		set[i] = Replica{Tag: fmt.Sprint("r1x", i), MaxOngoing: 1000, Link: &echoLink{relay: r}}
	}
	r.SetReplicas(set)
	return e
}

func (e *echo) frame(i int) hypha.Frame {
	f := e.template
	f.Header.Session = e.sessions[i%len(e.sessions)]
	return f
}

type echoUpstream echo

func (e *echoUpstream) Send(context.Context, hypha.Header, hypha.Payload) error {
	e.done <- struct{}{}
	return nil
}
func (e *echoUpstream) Resolve(context.Context, hypha.Header, any) error  { return nil }
func (e *echoUpstream) Reject(context.Context, hypha.Header, error) error { return nil }
func (e *echoUpstream) Heartbeat(context.Context, hypha.Header) error     { return nil }

// echoLink answers with a prepared frame whose session it overwrites.
type echoLink struct {
	relay *Relay
	mu    sync.Mutex
	frame []byte
	at    int
}

func (l *echoLink) Send(_ context.Context, m *link.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	session := m.Call[len(alice)+1:]
	if l.frame == nil {
		l.frame = append(hypha.Header{Type: "method", To: alice, Method: session + ".resolve"}.Append(nil), "\x81\xa4args\x91\x01"...)
		l.at = len(l.frame) - len("\x81\xa4args\x91\x01") - len(".resolve") - len(session)
	}
	copy(l.frame[l.at:], session)
	l.relay.FromReplica(context.Background(), &link.Message{Replica: m.Replica, Data: l.frame})
	return nil
}

func (l *echoLink) Control(context.Context, link.Control) error { return nil }
