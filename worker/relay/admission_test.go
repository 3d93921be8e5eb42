package relay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

func TestAdmission(t *testing.T) {
	t.Run("permission_comes_before_capacity", func(t *testing.T) {
		policy := func(c *Config) { c.Policy, c.MaxOngoing, c.Limits.Waiting = only("user-"+alice), 1, 1 }
		bubble(t, policy, func(g *rig) {
			w := g.add("r1x1", 1)
			g.call(alice, "a1")
			g.call(alice, "a2")
			g.call(bob, "b1")
			want := "PermissionError: User 'user-ws-bob/notebook' (ws-bob/notebook@example.org) is not authorized to call 'work'"
			if got := g.errorOf("b1"); got != want {
				t.Errorf("bob got %q", got)
			}
			if got := w.calls(); !slices.Equal(got, []string{key(alice, "a1")}) {
				t.Errorf("replica has %q", got)
			}
		})
	})
	t.Run("a_frame_without_a_user_is_refused", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			f := workFrame(alice, "s1")
			f.Header.User = nil
			g.route(f)
			f = workFrame(alice, "s2")
			f.Header.User = []byte{0xc1}
			g.route(f)
			f = workFrame(alice, "s3")
			f.Header.User = pack(map[string]any{"email": "a@b.c"})
			g.route(f)
			for session, want := range map[string]string{
				"s1": "PermissionError: Invalid context without user information",
				"s2": "PermissionError: Invalid user information in context",
				"s3": "PermissionError: Invalid user information in context",
			} {
				if got := g.errorOf(session); got != want {
					t.Errorf("%s got %q", session, got)
				}
			}
		})
	})
	t.Run("first_come_first_served_up_to_the_limits", func(t *testing.T) {
		limits := func(c *Config) { c.MaxOngoing, c.Limits.Waiting, c.Limits.WaitingPerCaller = 2, 4, 3 }
		bubble(t, limits, func(g *rig) {
			w := g.add("r1x1", 10)
			for i := range 6 { // 2 run, 3 wait, 1 too many
				g.call(alice, fmt.Sprint("a", i))
			}
			g.call(bob, "b0") // waits
			g.call(bob, "b1") // too many in all
			full := "RuntimeError: Application 'demo' has reached its maximum of 2 concurrent requests. Please try again in a moment."
			for _, session := range []string{"a5", "b1"} {
				if got := g.errorOf(session); got != full {
					t.Errorf("%s got %q", session, got)
				}
			}
			order := []string{"a0", "a1", "a2", "a3", "a4"}
			for i, session := range order {
				g.reply("r1x1", alice, session)
				if ongoing, capacity := g.relay.Load(); ongoing > 2 || capacity != 2 {
					t.Errorf("after answer %d: %d of %d ongoing", i, ongoing, capacity)
				}
			}
			want := []string{}
			for _, session := range order {
				want = append(want, key(alice, session))
			}
			if got := w.calls(); !slices.Equal(got, append(want, key(bob, "b0"))) {
				t.Errorf("calls ran in order %q", got)
			}
			g.reply("r1x1", bob, "b0")
			g.empty()
		})
	})
	t.Run("callers_in_line_and_running_are_kept_alive_at_their_own_interval", func(t *testing.T) {
		bubble(t, func(c *Config) { c.MaxOngoing = 1 }, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "running")
			g.call(alice, "waiting")
			slow := workFrame(alice, "slow")
			slow.Extra.Data = pack(map[string]any{"args": []any{}, "promise": map[string]any{"interval": 20, "resolve": nil}})
			g.route(slow)
			hurried := workFrame(alice, "hurried")
			hurried.Extra.Data = pack(map[string]any{"promise": "*", "t": 0.01})
			g.route(hurried)
			unknown := workFrame(alice, "unknown")
			unknown.Extra.Data = pack(map[string]any{"_enc": map[string]any{"v": 2}, "data": []byte("secret")})
			g.route(unknown)
			pass(61 * time.Second)
			for session, want := range map[string]int{"running": 12, "waiting": 12, "slow": 3, "hurried": 61, "unknown": 12} {
				if got := g.up.beatsOf(session); got != want {
					t.Errorf("%s got %d heartbeats in 61 s, want %d", session, got, want)
				}
			}
			for _, session := range []string{"running", "waiting", "slow", "hurried", "unknown"} {
				g.reply("r1x1", alice, session)
			}
			g.empty()
			before := len(g.up.beats)
			pass(time.Minute)
			if after := len(g.up.beats); after != before {
				t.Errorf("%d heartbeats after the answers", after-before)
			}
		})
	})
	t.Run("heartbeats_leave_half_of_the_message_budget", func(t *testing.T) {
		many := func(c *Config) { c.MaxOngoing, c.Limits.SessionCalls, c.Limits.SessionCallsPerCaller = 1, 5000, 5000 }
		bubble(t, many, func(g *rig) {
			g.add("r1x1", 1)
			for i := range 1000 {
				f := frame(alice, "r1x1-a.b", fmt.Sprint("s", i), map[string]any{"promise": "*", "t": 0.01})
				g.relay.Route(f)
			}
			pass(10 * time.Second)
			if got := len(g.up.beats); got < 900 || got > 1100 {
				t.Errorf("%d heartbeats in 10 s", got)
			}
		})
	})
	t.Run("calls_without_a_session_run_in_free_slots_only", func(t *testing.T) {
		bubble(t, func(c *Config) { c.MaxOngoing = 2 }, func(g *rig) {
			w := g.add("r1x1", 5)
			for range 5 {
				g.call(alice, "")
			}
			if got := len(w.messages); got != 2 || g.dropped("no_room") != 3 {
				t.Errorf("%d arrived, %d dropped", got, g.dropped("no_room"))
			}
			g.call(alice, "s1")
			pass(silentHold)
			if got := w.calls(); !slices.Equal(got, []string{key(alice, "s1")}) {
				t.Errorf("after the hold the replica has calls %q", got)
			}
			g.reply("r1x1", alice, "s1")
			g.empty()
			if len(g.up.answers()) != 0 {
				t.Errorf("answers to nobody: %+v", g.up.answers())
			}
		})
	})
	t.Run("memory_of_waiting_payloads_is_bounded", func(t *testing.T) {
		bubble(t, func(c *Config) { c.MaxOngoing, c.Limits.HeldBytes = 1, 1<<20 }, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "running")
			for i := range 4 {
				f := workFrame(alice, fmt.Sprint("big", i))
				f.Extra.Data = append(f.Extra.Data, make([]byte, 400<<10)...)
				g.route(f)
			}
			g.errorOf("big2")
			g.errorOf("big3")
			if s := g.relay.Stats(); s.Waiting != 2 || s.HeldBytes > 1<<20 {
				t.Errorf("holds %d bytes for %d calls", s.HeldBytes, s.Waiting)
			}
			g.relay.PeerGone(alice)
			g.empty()
		})
	})
	t.Run("object_calls_take_no_slot_but_are_bounded", func(t *testing.T) {
		bubble(t, func(c *Config) { c.MaxOngoing, c.Limits.SessionCallsPerCaller = 1, 2 }, func(g *rig) {
			w := g.add("r1x1", 1)
			g.call(alice, "s0")
			for i := 1; i <= 3; i++ {
				g.route(frame(alice, "r1x1-gen.next", fmt.Sprint("s", i), map[string]any{"promise": "*", "t": 5.0}))
			}
			if got := len(w.calls()); got != 3 {
				t.Errorf("%d calls arrived", got)
			}
			if got := g.errorOf("s3"); got != errBusySessions.Error() {
				t.Errorf("third object call got %q", got)
			}
			if ongoing, _ := g.relay.Load(); ongoing != 1 {
				t.Errorf("%d slots taken", ongoing)
			}
			for _, session := range []string{"s0", "s1", "s2"} {
				g.reply("r1x1", alice, session)
			}
			g.empty()
		})
	})
}

func TestNoReplica(t *testing.T) {
	t.Run("callers_wait_30_seconds_then_get_an_error", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.call(alice, "first")
			pass(10 * time.Second)
			g.call(alice, "second")
			pass(20 * time.Second)
			want := "RuntimeError: Application 'demo' has no running replica; the call waited 30s for one. " +
				"See get_application_status for the reason and try again."
			if got := g.errorOf("first"); got != want {
				t.Errorf("got %q", got)
			}
			if got := g.up.beatsOf("first"); got < 5 {
				t.Errorf("only %d heartbeats while waiting", got)
			}
			w := g.add("r1x1", 1)
			pass(time.Minute)
			if got := w.calls(); !slices.Equal(got, []string{key(alice, "second")}) {
				t.Errorf("replica got %q", got)
			}
			g.reply("r1x1", alice, "second")
			g.empty()
		})
	})
	t.Run("waiting_for_a_slot_has_no_end_of_its_own", func(t *testing.T) {
		bubble(t, func(c *Config) { c.MaxOngoing = 1 }, func(g *rig) {
			w := g.add("r1x1", 1)
			g.call(alice, "long")
			g.call(alice, "patient")
			pass(2 * time.Hour)
			g.reply("r1x1", alice, "long")
			if got := w.calls(); len(got) != 2 || len(g.up.answers()) != 0 {
				t.Errorf("calls %q, errors %v", got, g.up.answers())
			}
			g.reply("r1x1", alice, "patient")
			g.empty()
		})
	})
	t.Run("an_unhealthy_application_answers_at_once", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.call(alice, "waiting")
			reason := hypha.Errorf("RuntimeError", "Application 'demo' is unhealthy: check_health failed")
			g.relay.SetUnhealthy(reason)
			g.call(alice, "new")
			pass(0)
			for _, session := range []string{"waiting", "new"} {
				if got := g.errorOf(session); got != reason.Error() {
					t.Errorf("%s got %q", session, got)
				}
			}
			w := g.add("r1x1", 1) // a usable replica serves whatever the status says
			g.call(alice, "served")
			if got := len(w.calls()); got != 1 {
				t.Errorf("%d calls arrived", got)
			}
			g.reply("r1x1", alice, "served")
			g.empty()
		})
	})
}

func TestSetMaxOngoing(t *testing.T) {
	bubble(t, func(c *Config) { c.MaxOngoing = 1 }, func(g *rig) {
		w := g.add("r1x1", 5)
		for i := range 4 {
			g.call(alice, fmt.Sprint(i))
		}
		g.relay.SetMaxOngoing(3)
		pass(0)
		if got := len(w.calls()); got != 3 {
			t.Errorf("%d calls run with 3 slots", got)
		}
		g.relay.SetMaxOngoing(0) // at least 1
		g.reply("r1x1", alice, "0")
		g.reply("r1x1", alice, "1")
		if got := len(w.calls()); got != 3 {
			t.Errorf("%d calls ran although the slots shrank to 1", got)
		}
		g.reply("r1x1", alice, "2")
		g.reply("r1x1", alice, "3")
		g.empty()
	})
}
