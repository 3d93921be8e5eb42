package link

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestMessages(t *testing.T) {
	received := newRecorder()
	p := newPair(t, received, newRecorder())

	t.Run("small_message_arrives_whole", func(t *testing.T) {
		sent := &Message{Replica: "r1x1", Call: "ws/c\x00session", Opens: true, Head: []byte("head"), Data: []byte("data")}
		if err := p.controller.Send(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		m := <-received.messages
		if m.Replica != sent.Replica || m.Call != sent.Call || !m.Opens || m.Ends || string(m.Data) != "headdata" {
			t.Fatalf("got %+v", m)
		}
	})
	t.Run("empty_message_arrives", func(t *testing.T) {
		if err := p.controller.Send(t.Context(), &Message{Replica: "r", Ends: true}); err != nil {
			t.Fatal(err)
		}
		if m := <-received.messages; len(m.Data) != 0 || !m.Ends || m.Opens || m.Call != "" {
			t.Fatalf("got %+v", m)
		}
	})
	t.Run("small_reader_is_read_whole", func(t *testing.T) {
		m := &Message{Replica: "r", Head: []byte("<"), Reader: strings.NewReader("body>"), Size: 5}
		if err := p.controller.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if m := <-received.messages; string(m.Data) != "<body>" {
			t.Fatalf("got %q", m.Data)
		}
	})
	t.Run("too_large_message_is_refused_here", func(t *testing.T) {
		err := p.controller.Send(t.Context(), &Message{Replica: "r", Reader: strings.NewReader(""), Size: MaxMessage + 1})
		if !errors.Is(err, ErrTooLarge) {
			t.Fatalf("got %v", err)
		}
		if err := p.controller.Control(t.Context(), Control{Type: ControlDrain, Timeout: 1.5}); err != nil {
			t.Fatalf("the link is harmed: %v", err)
		}
		if c := <-received.controls; c.Type != ControlDrain || c.Timeout != 1.5 {
			t.Fatalf("got %+v", c)
		}
	})
}

func TestLargeMessages(t *testing.T) {
	sums := make(chan [32]byte, 4)
	failures := make(chan error, 4)
	sink := newRecorder()
	sink.message = func(m *Message) {
		if m.Call == "ignored" {
			return
		}
		h := sha256.New()
		if _, err := io.Copy(h, m.Reader); err != nil {
			failures <- err
			return
		}
		sums <- [32]byte(h.Sum(nil))
	}
	p := newPair(t, newRecorder(), sink)
	data := randomBytes(3<<20 + 17)

	t.Run("bytes_and_reader_arrive_whole", func(t *testing.T) {
		for _, m := range []*Message{
			{Replica: "r", Head: data[:100], Data: data[100:]},
			{Replica: "r", Head: data[:100], Reader: bytes.NewReader(data[100:]), Size: int64(len(data) - 100)},
		} {
			if err := p.agent.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if <-sums != sha256.Sum256(data) {
				t.Fatal("other bytes arrived")
			}
		}
	})
	t.Run("short_reader_fails_at_both_ends_and_spares_the_link", func(t *testing.T) {
		err := p.agent.Send(t.Context(), &Message{Replica: "r", Reader: bytes.NewReader(data), Size: int64(len(data) + 1)})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("sender: %v", err)
		}
		if err := <-failures; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("receiver: %v", err)
		}
		if err := p.agent.Control(t.Context(), Control{Type: "hello"}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("receiver_that_does_not_read_lets_the_sender_go", func(t *testing.T) {
		if err := p.agent.Send(t.Context(), &Message{Replica: "r", Call: "ignored", Data: data}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSmallMessagesKeepTheirOrder(t *testing.T) {
	received := newRecorder()
	p := newPair(t, received, newRecorder())
	const n = 300
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			data := make([]byte, 1+rand.IntN(SmallMessage))
			data[0] = byte(i)
			if err := p.controller.Send(t.Context(), &Message{Replica: "r", Data: data}); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range n {
		if m := <-received.messages; m.Data[0] != byte(i) {
			t.Fatalf("message %d came at place %d", m.Data[0], i)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// TestLargeMessageDoesNotDelaySmallOnes sends 100 MB and calls meanwhile.
func TestLargeMessageDoesNotDelaySmallOnes(t *testing.T) {
	sink := newRecorder()
	sink.message = func(m *Message) {
		if m.Reader != nil {
			_, _ = io.Copy(io.Discard, m.Reader)
			return
		}
		sink.messages <- m
	}
	p := newPair(t, newRecorder(), sink)
	large := make(chan error, 1)
	go func() {
		large <- p.agent.Send(context.Background(), &Message{Replica: "r", Data: make([]byte, 100<<20)})
	}()
	calls, worst := 0, time.Duration(0)
	for {
		start := time.Now()
		if err := p.agent.Send(t.Context(), &Message{Replica: "r", Data: []byte("small")}); err != nil {
			t.Fatal(err)
		}
		<-sink.messages
		worst = max(worst, time.Since(start))
		calls++
		select {
		case err := <-large:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d small messages during 100 MB, the slowest took %v", calls, worst)
			if calls < 20 {
				t.Fatal("small messages waited for the large one")
			}
			return
		default:
		}
	}
}

func TestSlowReader(t *testing.T) {
	release := make(chan struct{})
	received := newRecorder()
	received.message = func(m *Message) {
		if m.Replica == "slow" {
			<-release
		}
		received.messages <- m
	}
	p := newPair(t, received, newRecorder())
	data := func(i int) []byte { return append(make([]byte, 100<<10), byte(i)) }

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	sent := 0
	var err error
	for err == nil {
		if err = p.controller.Send(ctx, &Message{Replica: "slow", Data: data(sent)}); err == nil {
			sent++
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) || sent == 0 || sent > 20 {
		t.Fatalf("the sender was held after %d messages with %v", sent, err)
	}
	if err := p.controller.Send(t.Context(), &Message{Replica: "quick"}); err != nil {
		t.Fatal(err)
	}
	if m := <-received.messages; m.Replica != "quick" {
		t.Fatalf("got %+v", m)
	}
	// The message that was cut is lost; the next one comes after all that were sent.
	next := make(chan error, 1)
	go func() { next <- p.controller.Send(context.Background(), &Message{Replica: "slow", Data: data(sent)}) }()
	close(release)
	if err := <-next; err != nil {
		t.Fatal(err)
	}
	for i := range sent + 1 {
		m := <-received.messages
		if got := int(m.Data[len(m.Data)-1]); got != i {
			t.Fatalf("message %d came at place %d of %d", got, i, sent+1)
		}
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}
