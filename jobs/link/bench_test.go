package link

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// BenchmarkRoundTrip is a call and its answer through TLS, WebSocket and yamux, one at a time.
func BenchmarkRoundTrip(b *testing.B) {
	p, answers := newEchoPair(b)
	data := make([]byte, 200)
	b.ResetTimer()
	for range b.N {
		if err := p.controller.Send(b.Context(), &Message{Replica: "r", Call: "peer\x00session", Data: data}); err != nil {
			b.Fatal(err)
		}
		<-answers
	}
}

// BenchmarkEcho5MB is a large message there and back, in memory at both ends.
func BenchmarkEcho5MB(b *testing.B) {
	p, answers := newEchoPair(b)
	data := make([]byte, 5<<20)
	b.SetBytes(2 * int64(len(data)))
	b.ResetTimer()
	for range b.N {
		if err := p.controller.Send(b.Context(), &Message{Replica: "r", Data: data}); err != nil {
			b.Fatal(err)
		}
		<-answers
	}
}

// BenchmarkThroughput is one way, in messages of 64 MiB that the other end discards.
func BenchmarkThroughput(b *testing.B) {
	sink := newRecorder()
	sink.message = func(m *Message) { _, _ = io.Copy(io.Discard, m.Reader) }
	p := newPair(b, sink, newRecorder())
	data := make([]byte, 64<<20)
	b.SetBytes(int64(len(data)))
	b.ResetTimer()
	for range b.N {
		if err := p.controller.Send(b.Context(), &Message{Replica: "r", Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}

// newEchoPair has an agent that sends every message back once it has read it.
func newEchoPair(b *testing.B) (*pair, chan struct{}) {
	answers := make(chan struct{}, 1)
	here, there := newRecorder(), newRecorder()
	var p *pair
	there.message = func(m *Message) {
		data := m.Data
		if m.Reader != nil {
			var read bytes.Buffer
			read.Grow(int(m.Size) + bytes.MinRead)
			_, _ = io.Copy(&read, m.Reader)
			data = read.Bytes()
		}
		_ = p.agent.Send(context.Background(), &Message{Replica: m.Replica, Call: m.Call, Ends: true, Data: data})
	}
	here.message = func(m *Message) {
		if m.Reader != nil {
			_, _ = io.Copy(io.Discard, m.Reader)
		}
		answers <- struct{}{}
	}
	p = newPair(b, there, here)
	return p, answers
}
