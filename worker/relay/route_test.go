package relay

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

func TestLocate(t *testing.T) {
	for method, want := range map[string]destination{
		"services.demo.work":          {place: application, member: "work"},
		"services.demo.sub.lst.1":     {place: application, member: "sub.lst.1"},
		"services.demo":               {},
		"services.demo.":              {},
		"services.other.work":         {},
		"services._rintf_r1x2-abc.f":  {place: object, tag: "r1x2"},
		"services._rintf_abc.f":       {},
		"r1x2-abc.def":                {place: object, tag: "r1x2"},
		"r1x2-abc.r1x2-def.resolve":   {place: object, tag: "r1x2"},
		"-abc.def":                    {},
		"abc.def":                     {},
		"":                            {},
		"services":                    {},
		"services._rintf_-x.f":        {},
		"services.demo-2.work":        {},
		"services.demo.work#callback": {place: application, member: "work#callback"},
	} {
		if got := locate(method, app); got != want {
			t.Errorf("locate(%q) = %+v, want %+v", method, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	for method, want := range map[string]struct {
		want    intent
		session string
	}{
		"abc.resolve":              {resolve, "abc"},
		"abc.def.reject":           {reject, "abc.def"},
		"abc.heartbeat":            {heartbeat, "abc"},
		"abc.x7#progress":          {callback, "abc"},
		"services._rintf_abc.f":    {callback, ""},
		"services.other.f":         {service, ""},
		"services.demo.resolve":    {service, ""},
		"services.built-in.ping":   {service, ""},
		"message_cache.create":     {callback, "message_cache"},
		"services.":                {unknown, ""},
		".resolve":                 {unknown, ""},
		"resolve":                  {unknown, ""},
		"":                         {unknown, ""},
		"abc.":                     {unknown, ""},
		"services.default.echo.no": {service, ""},
	} {
		got, session := read(method)
		if got != want.want || got != callback && session != want.session {
			t.Errorf("read(%q) = %v %q, want %+v", method, got, session, want)
		}
	}
}

func TestRoute(t *testing.T) {
	t.Run("arguments_arrive_as_they_were_even_if_no_decoder_could_read_them", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 1)
			garbage := append([]byte{0x82, 0xa4}, "args\xc1\xff\x00_rtype:from_the_future\xc1"...)
			f := workFrame(alice, "s1")
			f.Extra.Data = bytes.Clone(garbage)
			g.route(f)
			_, extra := w.header(t, 0)
			if !bytes.Equal(extra, garbage) {
				t.Errorf("extra arrived as %x, sent %x", extra, garbage)
			}
			g.reply("r1x1", alice, "s1")
			g.empty()
		})
	})
	t.Run("parent_of_a_service_call_is_removed_and_unknown_keys_stay", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 1)
			f := workFrame(alice, "s1")
			f.Header.Parent = "r9x9-somebody-elses"
			f.Header.Other = []hypha.Field{{Key: "trace", Value: msgpack.RawMessage{0xcd, 1, 2}}}
			g.route(f)
			h, _ := w.header(t, 0)
			if h.Parent != "" {
				t.Errorf("parent %q reached the replica", h.Parent)
			}
			if len(h.Other) != 1 || h.Other[0].Key != "trace" || !bytes.Equal(h.Other[0].Value, []byte{0xcd, 1, 2}) {
				t.Errorf("unknown key arrived as %+v", h.Other)
			}
			if h.From != alice || h.To != client || h.Session != "s1" || h.Workspace != "ws-alice" || len(h.User) == 0 {
				t.Errorf("header arrived as %+v", h)
			}
		})
	})
	t.Run("objects_of_a_replica_keep_parent_and_get_their_frames", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			one, two := g.add("r1x1", 1), g.add("r1x2", 1)
			f := frame(alice, "r1x2-sess.obj", "s1", map[string]any{"promise": "*", "t": 5.0})
			f.Header.Parent = "r1x2-sess"
			g.route(f)
			g.route(frame(alice, "services._rintf_r1x1-abc.f", "s2", map[string]any{"promise": "*", "t": 5.0}))
			g.route(frame(alice, "r1x1-cb.resolve", "", nil))
			if h, _ := two.header(t, 0); h.Parent != "r1x2-sess" || h.Session != "s1" {
				t.Errorf("header arrived as %+v", h)
			}
			if got := one.calls(); len(got) != 1 || got[0] != key(alice, "s2") {
				t.Errorf("replica 1 has calls %q", got)
			}
			if h, _ := one.header(t, 1); h.Method != "r1x1-cb.resolve" {
				t.Errorf("callback result arrived as %+v", h)
			}
			g.reply("r1x2", alice, "s1")
			g.reply("r1x1", alice, "s2")
			g.empty()
		})
	})
	t.Run("names_nobody_has_are_answered_or_dropped", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			g.add("r1x1", 1)
			g.route(frame(alice, "r9x9-gone.f", "s1", nil))
			g.route(frame(alice, "services._rintf_r9x9-gone.f", "s2", nil))
			g.route(frame(alice, "services.other.f", "s3", nil))
			g.route(frame(alice, "nonsense.f", "s4", nil))
			g.route(frame(alice, "r9x9-gone.resolve", "", nil))
			for session, want := range map[string]string{
				"s1": "Session not found: " + alice + ":r9x9-gone.f",
				"s2": "Session not found: " + alice + ":services._rintf_r9x9-gone.f",
				"s3": "Method expired or not found: " + alice + ":services.other.f",
				"s4": "Session not found: " + alice + ":nonsense.f",
			} {
				if got := g.errorOf(session); got != want {
					t.Errorf("%s: %q, want %q", session, got, want)
				}
			}
			if g.dropped("unknown") != 1 {
				t.Error("a frame without session was not dropped")
			}
			g.empty()
		})
	})
	t.Run("frames_that_are_not_for_us_are_dropped", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 1)
			for _, change := range []func(*hypha.Header){
				func(h *hypha.Header) { h.To = "ws-other/worker-1234" },
				func(h *hypha.Header) { h.To = "ws-home/*" },
				func(h *hypha.Header) { h.Type = "event" },
				func(h *hypha.Header) { h.From = "" },
				func(h *hypha.Header) { h.Session = strings.Repeat("s", maxKey) },
				func(h *hypha.Header) { h.From, h.Session = "ws-alice/notebook\x00s1", "t" },
				func(h *hypha.Header) { h.Session = "s1\x00t" },
			} {
				released := false
				f := workFrame(alice, "s1")
				f.Release = func() { released = true }
				change(&f.Header)
				g.route(f)
				if !released {
					t.Errorf("payload of %+v not released", f.Header)
				}
			}
			if g.dropped("foreign") != 7 || len(w.calls()) != 0 || len(g.up.answers()) != 0 {
				t.Errorf("not dropped: %+v", g.relay.Stats())
			}
		})
	})
	t.Run("a_second_call_with_an_open_session_is_dropped", func(t *testing.T) {
		bubble(t, nil, func(g *rig) {
			w := g.add("r1x1", 5)
			g.call(alice, "s1")
			g.call(alice, "s1")
			g.call(bob, "s1")
			if got := len(w.calls()); got != 2 || g.dropped("duplicate") != 1 {
				t.Errorf("%d calls arrived, %d dropped", got, g.dropped("duplicate"))
			}
			g.reply("r1x1", alice, "s1")
			g.reply("r1x1", bob, "s1")
			g.empty()
		})
	})
}

func TestMembers(t *testing.T) {
	change := func(c *Config) {
		c.MaxOngoing = 4
		c.Policy = only("nobody")
		c.Members = map[string]func() any{"get_num_pcs": func() any { return 0 }}
	}
	bubble(t, change, func(g *rig) {
		g.route(frame(alice, "services.demo.get_load", "s1", nil))
		g.route(frame(alice, "services.demo.get_num_pcs", "s2", nil))
		answers := g.up.answers()
		if len(answers) != 2 || answers[0].value != 0.0 || answers[1].value != 0 {
			t.Errorf("answers %+v", answers)
		}
		g.empty()
	})
}
