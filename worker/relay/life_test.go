package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

func TestNew(t *testing.T) {
	for name, c := range map[string]Config{
		"no_id":             {Client: client, MaxOngoing: 1, Policy: everybody{}},
		"no_slot":           {App: app, Client: client, Policy: everybody{}},
		"no_policy":         {App: app, Client: client, MaxOngoing: 1},
		"no_workspace":      {App: app, Client: "worker", MaxOngoing: 1, Policy: everybody{}},
		"nobody_in_it":      {App: app, Client: "ws/", MaxOngoing: 1, Policy: everybody{}},
		"a_client_of_no_ws": {App: app, Client: "/worker", MaxOngoing: 1, Policy: everybody{}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRun(t *testing.T) {
	t.Run("only_once", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			if err := g.relay.Run(context.Background(), g.up); err == nil {
				t.Error("ran twice")
			}
		})
	})
	t.Run("sends_what_came_before_it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, err := New(Config{App: app, Client: client, MaxOngoing: 1, Policy: only("user-" + alice)})
			if err != nil {
				t.Fatal(err)
			}
			w, up := newWire(), &connection{}
			r.SetReplicas([]Replica{{Tag: "r1x1", Link: w}})
			r.Route(workFrame(alice, "s1"))
			r.Route(workFrame(bob, "s2"))
			go r.FromReplica(t.Context(), &link.Message{Replica: "r1x1", Data: hypha.Header{Type: "method", To: alice, Method: "s1.x7"}.Append(nil)})
			synctest.Wait()
			serve(t, "relay", func(ctx context.Context) error { return r.Run(ctx, up) })
			synctest.Wait()
			if got := w.calls(); !slices.Equal(got, []string{key(alice, "s1")}) {
				t.Errorf("replica got %q", got)
			}
			if a, s := up.answers(), up.sent(); len(a) != 1 || a[0].session != "s2" || len(s) != 1 {
				t.Errorf("Hypha got %+v, %+v", a, s)
			}
		})
	})
	t.Run("ends_with_large_messages_under_way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, err := New(Config{App: app, Client: client, MaxOngoing: 5, Policy: everybody{}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx, &connection{}) }()
			w := newWire()
			w.gate = make(chan struct{})
			r.SetReplicas([]Replica{{Tag: "r1x1", MaxOngoing: 5, Link: w}})
			f := workFrame(alice, "s1")
			f.Extra = hypha.Payload{Reader: zeros(1<<30, 1<<30), Size: 1 << 30}
			r.Route(f)
			r.Route(workFrame(alice, "s2"))
			synctest.Wait()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			r.Route(workFrame(alice, "s3")) // nothing starts any more
			r.SetReplicas(nil)
		})
	})
}

func TestClose(t *testing.T) {
	t.Run("tells_every_caller", func(t *testing.T) {
		bubble(t, func(c *Config) { c.MaxOngoing = 1 }, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "running")
			g.call(alice, "waiting")
			for range 2 { // the second time changes nothing
				if err := g.relay.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if got := g.errorOf("running"); got != errStopped.Error() {
				t.Errorf("running got %q", got)
			}
			want := "RuntimeError: Application 'demo' was stopped before this call began. " +
				"Method expired or not found: " + alice + ":services.demo.work"
			if got := g.errorOf("waiting"); got != want {
				t.Errorf("waiting got %q", got)
			}
			g.call(alice, "later")
			if got := g.errorOf("later"); got != want {
				t.Errorf("later got %q", got)
			}
			g.publish() // has no effect any more
			g.empty()
		})
	})
	t.Run("waits_for_a_large_answer_to_be_cut_short", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.call(alice, "s1")
			g.up.gate = make(chan struct{})
			go g.relay.FromReplica(context.Background(), largeAnswer("r1x1", alice, "s1", 1<<20, 1<<20))
			synctest.Wait()
			if err := g.relay.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := g.errorOf("s1"); got != errStopped.Error() {
				t.Errorf("got %q", got)
			}
			g.empty()
		})
	})
	t.Run("does_not_wait_longer_than_asked", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			stuck := make(chan struct{})
			g.up.stuck = stuck
			defer close(stuck)
			g.call(alice, "s1")
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if err := g.relay.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close: %v", err)
			}
		})
	})
	t.Run("before_Run_does_not_wait", func(t *testing.T) {
		r, err := New(Config{App: app, Client: client, MaxOngoing: 1, Policy: everybody{}})
		if err != nil {
			t.Fatal(err)
		}
		r.Route(workFrame(alice, "s1"))
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestUnsentAnswers(t *testing.T) {
	t.Run("are_replaced_by_an_error_unless_hypha_is_away", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 5)
			for _, session := range []string{"away", "broken"} {
				g.call(alice, session)
			}
			g.up.fail = hypha.ErrNotConnected
			g.reply("r1x1", alice, "away")
			g.up.fail = errors.New("broken")
			g.reply("r1x1", alice, "broken")
			if got := g.errorOf("broken"); got != errAnswerLost.Error() {
				t.Errorf("got %q", got)
			}
			if got := len(g.up.answers()); got != 1 || g.dropped("unsent") != 2 {
				t.Errorf("%d answers, dropped %v", got, g.relay.Stats().Dropped)
			}
			g.empty()
		})
	})
	t.Run("of_the_relay_are_bounded_by_dropping_new_calls", func(t *testing.T) {
		bubble(t, func(c *Config) { c.Limits.Answers, c.Policy = 10, only("user-"+alice) }, func(g *rig) {
			g.add("r1x1", 100)
			stuck := make(chan struct{})
			g.up.stuck = stuck
			g.call(bob, "first") // its answer is being sent
			for i := range 4 {
				g.call(alice, fmt.Sprint("a", i))
			}
			for i := range 10 {
				g.call(bob, fmt.Sprint("b", i))
			}
			g.call(alice, "late")
			g.route(frame(alice, "services.demo.get_load", "load", nil))
			if got := g.dropped("overload"); got != 4+2 {
				t.Errorf("%d frames dropped", got)
			}
			g.lose("r1x1") // the accepted calls have their places
			g.relay.PeerGone(alice)
			close(stuck)
			synctest.Wait()
			if got := len(g.up.answers()); got != 7+4 {
				t.Errorf("%d answers sent", got)
			}
			g.empty()
		})
	})
	t.Run("without_a_session_are_not_made", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 1)
			g.route(frame(alice, "services.demo.get_load", "", nil))
			g.route(frame(alice, "r1x1-obj.f", "s1", map[string]any{"args": []any{1}})) // no promise
			if len(w.messages) != 1 || w.messages[0].Opens || w.messages[0].Call != "" || len(g.up.answers()) != 0 {
				t.Errorf("replica got %+v, Hypha %+v", w.messages, g.up.answers())
			}
			g.empty()
		})
	})
}
