package link

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOpenStreamsAreBounded(t *testing.T) {
	hold := make(chan struct{})
	handler := newRecorder()
	handler.stream = func(_ Header, s *Stream) { <-hold }
	p := newPair(t, newRecorder(), handler)
	var streams []*Stream
	for range maxStreams {
		s, err := p.agent.Open(t.Context(), Header{Kind: KindHandle})
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.agent.Open(ctx, Header{Kind: KindHandle}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("one stream too many: %v", err)
	}
	streams[0].Close()
	s, err := p.agent.Open(t.Context(), Header{Kind: KindHandle})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	close(hold)
}

func TestConnectionsAreBounded(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0", func(c *ServerConfig) { c.Limits.Connections = 1 })
	s.gate.add("a", "token")
	id := Identity{Allocation: "a", Token: "token", Key: "key"}
	c, err := s.dial(t, id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close("done")
	_, err = s.dial(t, id)
	wantRefusal(t, err, CodeBusy)
}

func TestGateFailureIsNotTold(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0", func(c *ServerConfig) {
		c.Gate = brokenGate{}
		c.Log = c.Log.WithOptions()
	})
	_, err := s.dial(t, Identity{Allocation: "a"})
	wantRefusal(t, err, CodeNotReady)
	if strings.Contains(err.Error(), "disk") {
		t.Fatalf("the agent learnt %v", err)
	}
}

type brokenGate struct{}

func (brokenGate) Admit(context.Context, Identity, string) error { return errors.New("disk full") }

func TestRefusalsHaveAStatus(t *testing.T) {
	for code, want := range map[string]int{
		CodeBadToken: http.StatusUnauthorized, CodeSuperseded: http.StatusGone, CodeRateLimited: http.StatusTooManyRequests,
		CodeUnknownAllocation: http.StatusNotFound, CodeBusy: http.StatusServiceUnavailable, "new": http.StatusServiceUnavailable,
	} {
		if got := (&Refusal{Code: code}).status(); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}
