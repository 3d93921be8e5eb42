package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// TestEgress holds the frames of a replica to the rules of replica link 4, forged ones among them. Replica r1x1 has
// alice's call s1, replica r1x2 bob's call s2.
func TestEgress(t *testing.T) {
	for _, tt := range []struct {
		name    string
		tag     string
		header  hypha.Header
		sent    bool
		dropped string
		refused bool // the replica gets an error answer
	}{
		{name: "answer_of_its_call", tag: "r1x1", header: hypha.Header{To: alice, Method: "s1.resolve"}, sent: true},
		{name: "error_of_its_call", tag: "r1x1", header: hypha.Header{To: alice, Method: "s1.reject"}, sent: true},
		{name: "answer_of_another_replicas_call", tag: "r1x1", header: hypha.Header{To: bob, Method: "s2.resolve"}, dropped: "late"},
		{name: "answer_to_the_wrong_peer", tag: "r1x1", header: hypha.Header{To: bob, Method: "s1.resolve"}, dropped: "late"},
		{name: "answer_of_no_call", tag: "r1x1", header: hypha.Header{To: alice, Method: "s9.reject"}, dropped: "late"},
		{name: "answer_of_an_unknown_replica", tag: "r0x1", header: hypha.Header{To: alice, Method: "s1.resolve"}, dropped: "late"},
		{name: "heartbeat_that_the_relay_sends_itself", tag: "r1x1", header: hypha.Header{To: alice, Method: "s1.heartbeat"}, dropped: "heartbeat"},
		{name: "heartbeat_of_no_call", tag: "r1x1", header: hypha.Header{To: alice, Method: "s9.heartbeat"}, dropped: "late"},
		{name: "callback_of_its_caller", tag: "r1x1", header: hypha.Header{To: alice, Method: "s1.x7#progress", Session: "r1x1-abc"}, sent: true},
		{name: "callback_without_answer", tag: "r1x1", header: hypha.Header{To: alice, Method: "s1.x7"}, sent: true},
		{name: "interface_object_of_its_caller", tag: "r1x1", header: hypha.Header{To: alice, Method: "services._rintf_x.f", Session: "r1x1-abc"}, sent: true},
		{name: "callback_of_a_stranger", tag: "r1x1", header: hypha.Header{To: bob, Method: "s2.x7", Session: "r1x1-abc"}, dropped: "stranger", refused: true},
		{name: "callback_answered_elsewhere", tag: "r1x1", header: hypha.Header{To: alice, Method: "s1.x7", Session: "r1x2-abc"}, dropped: "forged"},
		{name: "callback_of_an_unknown_replica", tag: "r0x1", header: hypha.Header{To: alice, Method: "s1.x7"}, dropped: "fenced"},
		{name: "service_of_its_caller", tag: "r1x1", header: hypha.Header{To: alice, Method: "services.secrets.read", Session: "r1x1-abc"}, dropped: "outward", refused: true},
		{name: "service_of_the_manager", tag: "r1x1", header: hypha.Header{To: "*/manager", Method: "services.default.generate_token", Session: "r1x1-abc"}, dropped: "outward", refused: true},
		{name: "broadcast", tag: "r1x1", header: hypha.Header{To: "*", Method: "s1.x7"}, dropped: "stranger"},
		{name: "event", tag: "r1x1", header: hypha.Header{Type: "custom", To: alice, Method: "s1.x7"}, dropped: "malformed"},
		{name: "nonsense", tag: "r1x1", header: hypha.Header{To: alice, Method: "nonsense"}, dropped: "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, nil, func(g *rig) {
				w := g.add("r1x1", 1)
				g.call(alice, "s1")
				g.add("r1x2", 1)
				g.call(bob, "s2")
				if tt.header.Type == "" {
					tt.header.Type = "method"
				}
				tt.header.From, tt.header.User = "ws-root/admin", pack(map[string]any{"id": "root"})
				g.emit(tt.tag, tt.header)
				sent := g.up.sent()
				if len(sent) > 0 != tt.sent {
					t.Errorf("sent %+v", sent)
				}
				if tt.sent {
					if h := sent[0].header; h.From != "" || h.User != nil || h.Method != tt.header.Method || h.Session != tt.header.Session {
						t.Errorf("sent as %+v", h)
					}
				}
				if tt.dropped != "" && g.dropped(tt.dropped) != 1 {
					t.Errorf("dropped %v", g.relay.Stats().Dropped)
				}
				if refused := len(w.messages) == 2; refused != tt.refused {
					t.Fatalf("replica got %d messages", len(w.messages))
				}
				if tt.refused {
					h, extra := w.header(t, 1)
					if h.From != tt.header.To || h.To != client || h.Method != "r1x1-abc.reject" || !bytes.Contains(extra, []byte("_rtype")) {
						t.Errorf("replica got %+v %q", h, extra)
					}
				}
				g.relay.PeerGone(alice)
				g.relay.PeerGone(bob)
				g.empty()
			})
		})
	}
}

func TestAnswer(t *testing.T) {
	t.Run("exactly_one_per_call", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "s1")
			g.reply("r1x1", alice, "s1")
			g.reply("r1x1", alice, "s1")
			g.emit("r1x1", hypha.Header{Type: "method", To: alice, Method: "s1.reject"})
			if got := len(g.up.sent()); got != 1 || g.dropped("late") != 2 {
				t.Errorf("%d answers sent", got)
			}
		})
	})
	t.Run("to_a_peer_named_without_workspace_goes_to_our_own", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.call("ws-home/neighbour", "s1")
			g.reply("r1x1", "neighbour", "s1")
			if got := g.up.sent(); len(got) != 1 || got[0].header.To != "ws-home/neighbour" {
				t.Errorf("sent %+v", got)
			}
			g.empty()
		})
	})
	t.Run("callbacks_reach_a_caller_for_ten_minutes_after_its_last_call", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "s1")
			g.reply("r1x1", alice, "s1")
			pass(9 * time.Minute)
			g.emit("r1x1", hypha.Header{Type: "method", To: alice, Method: "s1.x7"}) // counts as use
			pass(9 * time.Minute)
			g.emit("r1x1", hypha.Header{Type: "method", To: alice, Method: "s1.x7"})
			if got := len(g.up.sent()); got != 3 {
				t.Errorf("%d frames sent", got)
			}
			pass(11 * time.Minute)
			g.emit("r1x1", hypha.Header{Type: "method", To: alice, Method: "s1.x7"})
			if g.dropped("stranger") != 1 {
				t.Error("a caller of long ago was called back")
			}
		})
	})
	t.Run("waits_for_the_connection_and_survives_the_end_of_its_link", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "s1")
			g.up.gate = make(chan struct{})
			ctx, cancel := context.WithCancel(context.Background())
			h := hypha.Header{Type: "method", To: alice, Method: "s1.resolve"}
			go g.relay.FromReplica(ctx, &link.Message{Replica: "r1x1", Data: h.Append(nil)})
			synctest.Wait()
			cancel()
			g.lose("r1x1")
			close(g.up.gate)
			synctest.Wait()
			if got := len(g.up.sent()); got != 1 || len(g.up.answers()) != 0 {
				t.Errorf("%d answers and %v", got, g.up.answers())
			}
			g.empty()
		})
	})
}

// zeros is a source of n zero bytes that fails after limit.
func zeros(n, limit int64) io.Reader {
	return io.MultiReader(io.LimitReader(readerFunc(func(p []byte) (int, error) {
		clear(p)
		return len(p), nil
	}), min(n, limit)), readerFunc(func([]byte) (int, error) {
		if limit < n {
			return 0, errors.New("link lost")
		}
		return 0, io.EOF
	}))
}

// largeAnswer is a message of about size bytes that settles a session, and breaks off after limit.
func largeAnswer(tag, peer, session string, size, limit int64) *link.Message {
	head := hypha.Header{Type: "method", To: peer, Method: session + ".resolve", Parent: session}.Append(nil)
	return &link.Message{
		Replica: tag,
		Reader:  io.MultiReader(bytes.NewReader(head), zeros(size, limit)),
		Size:    int64(len(head)) + size,
	}
}

func TestLargeMessages(t *testing.T) {
	const size = 200 << 20
	t.Run("stream_both_ways_without_being_held", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f := workFrame(alice, "s1")
			f.Extra = hypha.Payload{Reader: zeros(size, size), Size: size}
			g.route(f)
			g.relay.FromReplica(context.Background(), largeAnswer("r1x1", alice, "s1", size, size))
			runtime.ReadMemStats(&after)
			if len(w.messages) != 1 || w.messages[0].Size != size {
				t.Errorf("arrived %+v", w.messages)
			}
			if got := g.up.sent(); len(got) != 1 || got[0].err != nil || got[0].size != size {
				t.Errorf("sent %+v", got)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
				t.Errorf("allocated %d bytes for 400 MiB", used)
			}
			g.empty()
		})
	})
	t.Run("do_not_hold_up_small_ones", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 10)
			stuck := make(chan struct{})
			var released atomic.Int32
			for i := range 6 {
				f := workFrame(alice, "large"+string(rune('0'+i)))
				f.Extra = hypha.Payload{Size: size, Reader: readerFunc(func([]byte) (int, error) {
					<-stuck
					return 0, errors.New("spool file is gone")
				})}
				f.Release = func() { released.Add(1) }
				g.route(f)
			}
			g.call(alice, "small")
			if got := w.calls(); len(got) != 1 {
				t.Errorf("arrived %q", got)
			}
			close(stuck)
			synctest.Wait()
			for i := range 6 {
				if got := g.errorOf("large" + string(rune('0'+i))); got != errUndelivered.Error() {
					t.Errorf("got %q", got)
				}
			}
			if n := released.Load(); n != 6 {
				t.Errorf("%d payloads released", n)
			}
			g.reply("r1x1", alice, "small")
			g.empty()
		})
	})
	t.Run("answer_that_breaks_off_rejects_the_call_once", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "s1")
			g.relay.FromReplica(context.Background(), largeAnswer("r1x1", alice, "s1", size, size/2))
			synctest.Wait()
			if got := g.errorOf("s1"); got != errAnswerLost.Error() {
				t.Errorf("got %q", got)
			}
			g.empty()
		})
	})
	t.Run("answer_to_a_peer_that_leaves_is_cut_short", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "s1")
			g.up.gate = make(chan struct{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				g.relay.FromReplica(context.Background(), largeAnswer("r1x1", alice, "s1", size, size))
			}()
			synctest.Wait()
			if ongoing, _ := g.relay.Load(); ongoing != 0 {
				t.Error("a method that has returned still holds its slot")
			}
			g.relay.PeerGone(alice)
			<-done
			g.empty()
		})
	})
	t.Run("answer_over_the_limit_is_the_callers_error", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "s1")
			g.up.fail = hypha.ErrTooLarge
			g.relay.FromReplica(context.Background(), largeAnswer("r1x1", alice, "s1", size, size))
			synctest.Wait()
			if got := g.errorOf("s1"); !strings.HasPrefix(got, "RuntimeError: the result exceeds") {
				t.Errorf("got %q", got)
			}
			g.empty()
		})
	})
	t.Run("unreadable_front_is_dropped", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.relay.FromReplica(context.Background(), &link.Message{Replica: "r1x1", Reader: strings.NewReader("short"), Size: 1 << 20})
			g.relay.FromReplica(context.Background(), &link.Message{Replica: "r1x1", Data: []byte{0xc1}})
			if g.dropped("malformed") != 2 {
				t.Errorf("dropped %v", g.relay.Stats().Dropped)
			}
		})
	})
}

func TestCallback(t *testing.T) {
	t.Run("does_not_wait_for_ever_while_hypha_is_away", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 1)
			g.call(alice, "s1")
			g.up.gate = make(chan struct{})
			start := time.Now()
			g.emit("r1x1", hypha.Header{Type: "method", To: alice, Method: "s1.x7", Session: "r1x1-abc"})
			if took := time.Since(start); took < callbackWait || took > callbackWait+time.Second {
				t.Errorf("waited %s", took)
			}
			h, extra := w.header(t, 1)
			if h.Method != "r1x1-abc.reject" || !bytes.Contains(extra, []byte(errCallbackLost.Error())) {
				t.Errorf("replica got %+v %q", h, extra)
			}
		})
	})
}
