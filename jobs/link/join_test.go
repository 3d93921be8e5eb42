package link

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestJoin(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0")
	s.gate.add("a", "token")
	first := Identity{Allocation: "a", Token: "token", Key: "key"}

	join := func(t *testing.T, id Identity) error {
		t.Helper()
		c, err := s.dial(t, id)
		if err == nil {
			defer c.Close("joined")
			_, err = c.Greet(t.Context(), Hello{Version: Version, Allocation: id.Allocation})
		}
		return err
	}
	t.Run("wrong_token_is_refused", func(t *testing.T) {
		wantRefusal(t, join(t, Identity{Allocation: "a", Token: "guess", Key: "key"}), CodeBadToken)
	})
	t.Run("unknown_allocation_is_refused", func(t *testing.T) {
		wantRefusal(t, join(t, Identity{Allocation: "b", Token: "token", Key: "key"}), CodeUnknownAllocation)
	})
	t.Run("right_token_joins", func(t *testing.T) {
		if err := join(t, first); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("same_token_and_key_join_again_after_a_lost_answer", func(t *testing.T) {
		if err := join(t, first); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("key_alone_joins_again", func(t *testing.T) {
		if err := join(t, Identity{Allocation: "a", Key: "key"}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("used_token_with_another_key_is_refused", func(t *testing.T) {
		wantRefusal(t, join(t, Identity{Allocation: "a", Token: "token", Key: "other"}), CodeUsedToken)
	})
	t.Run("fenced_allocation_is_superseded", func(t *testing.T) {
		s.gate.mu.Lock()
		s.gate.fenced["a"] = true
		s.gate.mu.Unlock()
		wantRefusal(t, join(t, first), CodeSuperseded)
	})
}

func TestGuessingIsSlowedDown(t *testing.T) {
	s := newSite(t, filepath.Join(t.TempDir(), "key"), "127.0.0.1:0")
	s.gate.add("a", "token")
	for i := range failedBurst {
		_, err := s.dial(t, Identity{Allocation: "a", Token: fmt.Sprint("guess", i), Key: "key"})
		wantRefusal(t, err, CodeBadToken)
	}
	_, err := s.dial(t, Identity{Allocation: "a", Token: "token", Key: "key"})
	wantRefusal(t, err, CodeRateLimited)
	if len(s.gate.keys) != 0 {
		t.Fatal("the gate was asked although the address is blocked")
	}
}

func TestLimiterForgetsWhenFull(t *testing.T) {
	l := newLimiter()
	for range failedBurst {
		l.failed("guesser")
	}
	for i := range 2 * failedRemotes {
		l.failed(fmt.Sprint(i))
	}
	if len(l.remotes) > failedRemotes {
		t.Fatalf("%d addresses are remembered", len(l.remotes))
	}
	if !l.blocked("guesser") {
		t.Fatal("the worst address was forgotten")
	}
}

func TestRedialAfterControllerRestart(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	s := newSite(t, key, "127.0.0.1:0")
	s.gate.add("a", "token")
	id := Identity{Allocation: "a", Token: "token", Key: "key"}
	c, err := s.dial(t, id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close("done")
	if _, err := c.Greet(t.Context(), Hello{Version: Version, Allocation: "a"}); err != nil {
		t.Fatal(err)
	}
	s.stop()
	var closed *ClosedError
	if err := c.Run(t.Context(), newRecorder()); !errors.As(err, &closed) || closed.Reason != "the controller stops" {
		t.Fatalf("the agent learnt %v", err)
	}

	again := newSite(t, key, s.endpoint.Addresses[0])
	again.gate.tokens, again.gate.keys = maps.Clone(s.gate.tokens), maps.Clone(s.gate.keys)
	again.endpoint.Fingerprint = s.endpoint.Fingerprint // what the agent has pinned
	id.Token = ""
	c2, err := again.dial(t, id)
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Close("done")
	live := []Live{{Tag: "r1x1", State: StateReady, Calls: []string{"ws/c\x00s1"}}}
	welcome, err := c2.Greet(t.Context(), Hello{Version: Version, Allocation: "a", Replicas: live})
	if err != nil || welcome.Epoch != 7 {
		t.Fatalf("welcome %+v, %v", welcome, err)
	}
	if hello := <-again.hellos; !reflect.DeepEqual(hello.Replicas, live) {
		t.Fatalf("the controller read %+v", hello)
	}
}

func TestOnlyThePinnedKeyIsTrusted(t *testing.T) {
	dir := t.TempDir()
	other := newSite(t, filepath.Join(dir, "other"), "127.0.0.1:0")
	own := newSite(t, filepath.Join(dir, "own"), "127.0.0.1:0")
	own.gate.add("a", "token")
	id := Identity{Allocation: "a", Token: "token", Key: "key"}

	wrong := other.endpoint
	wrong.Fingerprint = own.endpoint.Fingerprint
	_, err := Dial(t.Context(), DialConfig{Endpoint: wrong, Identity: id})
	if err == nil || !strings.Contains(err.Error(), "not the controller's") {
		t.Fatalf("dialling a foreign server: %v", err)
	}

	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	both := own.endpoint
	both.Addresses = []string{refusing.Addr().String(), wrong.Addresses[0], own.endpoint.Addresses[0]}
	c, err := Dial(t.Context(), DialConfig{Endpoint: both, Identity: id})
	if err != nil {
		t.Fatalf("the right address is the third: %v", err)
	}
	c.Close("done")
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	_, first, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := LoadOrCreateKey(path); err != nil || again != first {
		t.Fatalf("loaded again: %s, %v; want %s", again, err, first)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
	os.Chmod(path, 0o640)
	if _, _, err := LoadOrCreateKey(path); err == nil {
		t.Fatal("a key that others can read was taken")
	}
	os.WriteFile(path, []byte("garbage"), 0o600)
	os.Chmod(path, 0o600)
	if _, _, err := LoadOrCreateKey(path); err == nil {
		t.Fatal("garbage was taken for a key")
	}
}

func TestEndpointFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadEndpoint(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("missing file: %v", err)
	}
	want := Endpoint{Addresses: []string{"login1:4711", "10.0.0.1:4711"}, Fingerprint: "sha256:00", Epoch: 3, Instance: "u"}
	for range 2 { // the second replaces the first
		if err := WriteEndpoint(dir, want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ReadEndpoint(dir); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("read %+v, %v", got, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Fatalf("left behind: %v", entries)
	}
	os.WriteFile(filepath.Join(dir, endpointFile), []byte("{}"), 0o644)
	if _, err := ReadEndpoint(dir); err == nil {
		t.Fatal("an endpoint without address was taken")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	id := Identity{Allocation: "a", Token: "hush", Key: "hush"}
	assign := Assign{Tag: "r1x1", Secrets: map[string]string{"HYPHA_TOKEN": "hush"}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if out := fmt.Sprintf(format+format, id, assign); strings.Contains(out, "hush") {
			t.Errorf("%s prints %s", format, out)
		}
	}
}
