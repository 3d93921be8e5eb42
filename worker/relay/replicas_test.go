package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// repeated are the texts on which Python proxies call once more (hypha-rpc, replica link 5).
var repeated = []string{
	"Method expired or not found", "Session not found", "Peer", "Method not found", "Connection was closed", "Connection is closed",
}

// TestErrors/calls_that_may_have_run_are_not_repeated holds every text to what proxies do with it.
func TestErrors(t *testing.T) {
	r := &Relay{app: "demo", maximum: 3}
	to := hypha.Header{From: alice, Session: "s", Method: "services.demo.work"}
	for _, tt := range []struct {
		err    error
		repeat bool
	}{
		{errReplicaLost, false}, {errAnswerLost, false}, {errUndelivered, false}, {errUnreachable, false},
		{errSilent, false}, {errStopped, false}, {errNoUser, false}, {errBadUser, false}, {errBusySessions, false},
		{errBusyReplica, false}, {r.errFull(), false}, {r.errNoReplica(time.Second), false},
		{errNoSession(to), true}, {errNoMember(to), true}, {r.errNotBegun(to), true},
	} {
		text := tt.err.Error()
		got := slices.ContainsFunc(repeated, func(s string) bool { return strings.Contains(text, s) })
		if got != tt.repeat {
			t.Errorf("%q: proxies repeat the call: %v, want %v", text, got, tt.repeat)
		}
	}
}

func TestChoice(t *testing.T) {
	t.Run("a_hundred_calls_are_shared_evenly", func(t *testing.T) {
		bubble(t, func(c *Config) { c.MaxOngoing = 100 }, func(g *rig) {
			one, two := g.add("r1x1", 100), g.add("r1x2", 100)
			for i := range 100 {
				g.relay.Route(workFrame(alice, fmt.Sprint(i)))
			}
			pass(0)
			if a, b := len(one.calls()), len(two.calls()); a != 50 || b != 50 {
				t.Errorf("shared %d to %d", a, b)
			}
		})
	})
	t.Run("idle_replicas_take_turns", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			one, two := g.add("r1x1", 2), g.add("r1x2", 2)
			for i := range 10 {
				session := fmt.Sprint(i)
				g.call(alice, session)
				g.reply("r1x1", alice, session)
				g.reply("r1x2", alice, session)
			}
			if a, b := len(one.calls()), len(two.calls()); a != 5 || b != 5 {
				t.Errorf("shared %d to %d", a, b)
			}
			g.empty()
		})
	})
	t.Run("full_draining_and_unreachable_replicas_get_no_new_calls", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			full, draining, away := g.add("r1x1", 1), g.add("r1x2", 5), g.add("r1x3", 5)
			g.change("r1x2", func(rep *Replica) { rep.Draining = true })
			g.unlink("r1x3")
			g.call(alice, "s1")
			g.call(alice, "s2")
			if a, b, c := len(full.calls()), len(draining.calls()), len(away.calls()); a != 1 || b != 0 || c != 0 {
				t.Errorf("calls went to %d %d %d", a, b, c)
			}
			back := g.attach("r1x3")
			if got := back.calls(); !slices.Equal(got, []string{key(alice, "s2")}) {
				t.Errorf("returned replica got %q", got)
			}
		})
	})
	t.Run("a_link_that_ended_is_noticed_before_the_set_says_so", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			one := g.add("r1x1", 5)
			close(one.done)
			g.call(alice, "s1")
			two := g.add("r1x2", 5) // the set still holds the first link
			if a, b := len(one.calls()), len(two.calls()); a != 0 || b != 1 {
				t.Errorf("calls went to %d %d", a, b)
			}
			again := g.attach("r1x1")
			g.call(alice, "s2")
			if got := again.calls(); !slices.Equal(got, []string{key(alice, "s2")}) {
				t.Errorf("returned replica got %q", got)
			}
		})
	})
}

func TestReplica(t *testing.T) {
	t.Run("lost_with_calls_rejects_those_it_began_and_gives_the_others_away", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			lost := g.add("r1x1", 5)
			g.call(alice, "begun")
			lost.mu.Lock()
			lost.gate = make(chan struct{})
			lost.mu.Unlock()
			g.call(alice, "writing")
			g.call(alice, "queued")
			other := g.add("r1x2", 5)
			g.lose("r1x1")
			for _, session := range []string{"begun", "writing"} {
				if got := g.errorOf(session); got != errReplicaLost.Error() {
					t.Errorf("%s got %q", session, got)
				}
			}
			if got := other.calls(); !slices.Equal(got, []string{key(alice, "queued")}) {
				t.Errorf("other replica got %q", got)
			}
			g.reply("r1x1", alice, "begun") // too late, and from a fenced replica
			if len(g.up.sent()) != 0 || g.dropped("late") != 1 {
				t.Errorf("late answer was sent: %v", g.up.sent())
			}
			g.reply("r1x2", alice, "queued")
			g.empty()
		})
	})
	t.Run("unreachable_keeps_its_calls_waiting_and_gives_away_what_it_has_not_seen", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			away := g.add("r1x1", 5)
			g.call(alice, "begun")
			away.mu.Lock()
			away.gate = make(chan struct{})
			away.mu.Unlock()
			g.call(alice, "writing")
			g.call(alice, "queued")
			g.unlink("r1x1")
			away.mu.Lock()
			away.fail = errors.New("link lost")
			away.mu.Unlock()
			close(away.gate)
			synctest.Wait()
			other := g.add("r1x2", 5)
			g.errorOf("writing")
			pass(20 * time.Second)
			if got := g.up.beatsOf("begun"); got != 4 {
				t.Errorf("%d heartbeats in 20 s", got)
			}
			if got := other.calls(); !slices.Equal(got, []string{key(alice, "queued")}) {
				t.Errorf("other replica got %q", got)
			}
			back := g.attach("r1x1", key(alice, "begun"))
			g.reply("r1x1", alice, "begun")
			g.reply("r1x2", alice, "queued")
			if got := len(g.up.sent()); got != 2 {
				t.Errorf("%d answers sent", got)
			}
			if got := back.told(); !slices.Equal(got, []string{"cancel " + alice + "|writing"}) {
				t.Errorf("replica was told %q", got)
			}
			g.empty()
		})
	})
	t.Run("attached_again_without_a_call_it_had_has_lost_the_answer", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 5)
			g.call(alice, "kept")
			g.call(alice, "lost")
			g.unlink("r1x1")
			g.attach("r1x1", key(alice, "kept"))
			if got := g.errorOf("lost"); got != errAnswerLost.Error() {
				t.Errorf("got %q", got)
			}
			g.reply("r1x1", alice, "kept")
			g.empty()
		})
	})
	t.Run("attached_to_a_restarted_controller_brings_its_open_calls", func(t *testing.T) {
		bubble(t, func(c *Config) { c.MaxOngoing = 2 }, func(g *rig) {
			w := newWire()
			live := []string{key(alice, "old1"), key(bob, "old2"), "nonsense"}
			g.set = append(g.set, Replica{Tag: "r1x1", MaxOngoing: 5, Attach: 7, Live: live, Link: w})
			g.publish()
			g.call(alice, "new")
			if ongoing, _ := g.relay.Load(); ongoing != 2 || len(w.calls()) != 0 {
				t.Errorf("%d slots taken, %q sent", ongoing, w.calls())
			}
			if got := w.told(); !slices.Equal(got, []string{"cancel nonsense"}) {
				t.Errorf("replica was told %q", got)
			}
			// Its interval is not known, so the replica's own heartbeats go through.
			g.emit("r1x1", hypha.Header{Type: "method", To: alice, Method: "old1.heartbeat", Parent: "old1"})
			g.reply("r1x1", alice, "old1")
			g.reply("r1x1", bob, "old2")
			g.reply("r1x1", alice, "new")
			var methods []string
			for _, s := range g.up.sent() {
				methods = append(methods, s.header.Method)
			}
			if want := []string{"old1.heartbeat", "old1.resolve", "old2.resolve", "new.resolve"}; !slices.Equal(methods, want) {
				t.Errorf("sent %q", methods)
			}
			g.empty()
		})
	})
	t.Run("silent_about_an_adopted_call_for_too_long_loses_it", func(t *testing.T) {
		bubble(t, func(c *Config) { c.Limits.Silent = time.Minute }, func(g *rig) {
			w := newWire()
			g.set = append(g.set, Replica{Tag: "r1x1", MaxOngoing: 5, Live: []string{key(alice, "old")}, Link: w})
			g.publish()
			pass(30 * time.Second)
			g.emit("r1x1", hypha.Header{Type: "method", To: alice, Method: "old.heartbeat"})
			pass(50 * time.Second)
			if len(g.up.answers()) != 0 {
				t.Fatal("given up too early")
			}
			pass(20 * time.Second)
			if got := g.errorOf("old"); got != errSilent.Error() {
				t.Errorf("got %q", got)
			}
			if got := w.told(); !slices.Equal(got, []string{"cancel " + alice + "|old"}) {
				t.Errorf("replica was told %q", got)
			}
			g.empty()
		})
	})
	t.Run("attached_with_calls_that_ended_meanwhile_is_told_to_cancel_them", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 5)
			g.call(alice, "s1")
			g.unlink("r1x1")
			g.relay.PeerGone(alice)
			w := g.attach("r1x1", key(alice, "s1"))
			if got := w.told(); !slices.Contains(got, "cancel "+alice+"|s1") {
				t.Errorf("replica was told %q", got)
			}
			g.empty()
		})
	})
	t.Run("unreachable_for_too_long_loses_its_calls", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 5)
			g.call(alice, "s1")
			g.unlink("r1x1")
			pass(9 * time.Minute)
			if len(g.up.answers()) != 0 {
				t.Fatal("given up too early")
			}
			pass(time.Minute)
			if got := g.errorOf("s1"); got != errUnreachable.Error() {
				t.Errorf("got %q", got)
			}
			w := g.attach("r1x1", key(alice, "s1"))
			if got := w.told(); !slices.Equal(got, []string{"cancel " + alice + "|s1"}) {
				t.Errorf("replica was told %q", got)
			}
			g.empty()
		})
	})
	t.Run("arguments_too_large_for_the_link_are_the_callers_error", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 1)
			w.fail = fmt.Errorf("send: %w", link.ErrTooLarge)
			g.call(alice, "s1")
			if got := g.errorOf("s1"); got != "RuntimeError: the arguments exceed the limit of 256 MiB per call" {
				t.Errorf("got %q", got)
			}
			g.empty()
		})
	})
	t.Run("its_outbox_is_bounded", func(t *testing.T) {
		bubble(t, func(c *Config) { c.Limits.Frames, c.Limits.SessionCalls = 10, 20 }, func(g *rig) {
			g.add("r1x1", 1)
			g.unlink("r1x1")
			for i := range 30 {
				g.route(frame(alice, "r1x1-cb.resolve", "", nil))
				g.route(frame(alice, "r1x1-gen.next", fmt.Sprint(i), map[string]any{"promise": "*", "t": 5}))
			}
			if g.dropped("full_box") != 20 {
				t.Errorf("%d frames dropped", g.dropped("full_box"))
			}
			if got := len(g.up.answers()); got != 20 {
				t.Errorf("%d calls refused", got)
			}
			w := g.attach("r1x1")
			if got := len(w.messages); got != 20 {
				t.Errorf("%d messages arrived after the link was back", got)
			}
			for i := range 30 {
				g.reply("r1x1", alice, fmt.Sprint(i))
			}
			g.empty()
		})
	})
}

func TestDeparture(t *testing.T) {
	bubble(t, func(c *Config) { c.MaxOngoing = 2 }, func(g *rig) {
		one, two := g.add("r1x1", 1), g.add("r1x2", 1)
		released := 0
		for i := range 4 {
			f := workFrame(alice, fmt.Sprint("a", i))
			f.Release = func() { released++ }
			g.route(f)
		}
		g.call(bob, "b0")
		g.relay.PeerGone(alice)
		synctest.Wait()
		if released != 4 {
			t.Errorf("%d of 4 payloads released", released)
		}
		told := slices.Concat(one.told(), two.told())
		for _, want := range []string{"cancel " + alice + "|a0", "cancel " + alice + "|a1", "peer_gone " + alice} {
			if !slices.Contains(told, want) {
				t.Errorf("replicas were not told %q", want)
			}
		}
		if !slices.Contains(slices.Concat(one.calls(), two.calls()), key(bob, "b0")) {
			t.Error("the next in line did not get the slot")
		}
		g.emit("r1x1", hypha.Header{Type: "method", To: alice, Method: "a0.cb"})
		g.reply("r1x1", alice, "a0")
		if len(g.up.sent()) != 0 || len(g.up.answers()) != 0 {
			t.Errorf("sent to a peer that has left: %v %v", g.up.sent(), g.up.answers())
		}
		g.reply("r1x1", bob, "b0")
		g.reply("r1x2", bob, "b0")
		g.empty()
		if s := g.relay.Stats(); s.Left != 4 {
			t.Errorf("%d calls left", s.Left)
		}
	})
}
