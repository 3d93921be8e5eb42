package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	lease, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), dir, lease)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); _ = lease.Release() })
	return s
}

func TestStore(t *testing.T) {
	ctx := context.Background()

	t.Run("gives back what it was given after it was opened again", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		app := Application{ID: "a", Revision: 3, Spec: []byte("spec"), Record: []byte("record"), Secrets: []byte("secret")}
		if err := s.PutApplication(ctx, app); err != nil {
			t.Fatal(err)
		}
		al := Allocation{ID: "x", Application: "a", Deployment: "D", Replica: "r", Tag: "r1x1", Revision: 3, State: "submitting", TokenHash: []byte("h"), Created: time.Unix(5, 6)}
		if err := s.AddAllocation(ctx, al); err != nil {
			t.Fatal(err)
		}
		if err := s.SetJob(ctx, "x", "17", "submitted"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		_ = s.lease.Release()

		again := open(t, dir)
		if again.Instance() != s.Instance() || again.Epoch() <= s.Epoch() {
			t.Errorf("instance %s, epoch %d; before: %s, %d", again.Instance(), again.Epoch(), s.Instance(), s.Epoch())
		}
		apps, err := again.Applications(ctx)
		if err != nil || len(apps) != 1 || apps[0].Revision != 3 || string(apps[0].Secrets) != "secret" {
			t.Errorf("applications: %+v, %v", apps, err)
		}
		als, err := again.Allocations(ctx, "a")
		if err != nil || len(als) != 1 || als[0].Job != "17" || !als[0].Created.Equal(al.Created) || !als[0].Ended.IsZero() {
			t.Errorf("allocations: %+v, %v", als, err)
		}
	})

	t.Run("binds a join token to one key", func(t *testing.T) {
		s := open(t, t.TempDir())
		if err := s.AddAllocation(ctx, Allocation{ID: "x", Tag: "t", TokenHash: []byte("token"), Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name, token, key string
			want             error
		}{
			{"a wrong token", "other", "k1", ErrNotFound},
			{"the token", "token", "k1", nil},
			{"the same pair again", "token", "k1", nil},
			{"the token with another key", "token", "k2", ErrTokenUsed},
		} {
			if err := s.Bind(ctx, "x", []byte(c.token), []byte(c.key)); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if err := s.EndAllocation(ctx, "x", "ended", "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.Bind(ctx, "x", []byte("token"), []byte("k1")); !errors.Is(err, ErrNotFound) {
			t.Errorf("an ended allocation was joined: %v", err)
		}
	})

	t.Run("writes nothing once the lease is lost", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		next := &Lease{dir: dir, epoch: s.Epoch() + 1, me: s.lease.me}
		other, err := Open(ctx, dir, next)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if err := s.PutApplication(ctx, Application{ID: "late", Spec: []byte("{}"), Record: []byte("{}"), Secrets: []byte("{}")}); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("a controller without lease wrote: %v", err)
		}
		if _, err := Open(ctx, dir, s.lease); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("a state directory was opened with an old lease: %v", err)
		}
	})

	t.Run("leaves no secret behind when an application is deleted", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		secret := bytes.Repeat([]byte("very-secret-"), 1000)
		if err := s.PutApplication(ctx, Application{ID: "a", Spec: []byte("{}"), Record: []byte("{}"), Secrets: secret}); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteApplication(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "state.sqlite"))
		if err != nil || bytes.Contains(raw, []byte("very-secret-")) {
			t.Errorf("the file still holds the secret (%v)", err)
		}
		info, err := os.Stat(filepath.Join(dir, "state.sqlite"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})

	t.Run("prunes the oldest ended allocations only", func(t *testing.T) {
		s := open(t, t.TempDir())
		for i := range 5 {
			id := strconv.Itoa(i)
			if err := s.AddAllocation(ctx, Allocation{ID: id, Application: "a", Deployment: "D", Replica: "r" + id, Tag: id, TokenHash: []byte(id), Created: time.Unix(int64(i), 0)}); err != nil {
				t.Fatal(err)
			}
			if i < 4 {
				if err := s.EndAllocation(ctx, id, "ended", "", time.Now()); err != nil {
					t.Fatal(err)
				}
			}
		}
		gone, err := s.PruneEnded(ctx, "a", "D", 2)
		if err != nil || len(gone) != 2 || gone[0] == gone[1] {
			t.Errorf("pruned %v, %v", gone, err)
		}
		left, _ := s.Allocations(ctx, "")
		if len(left) != 3 {
			t.Errorf("%d rows left", len(left))
		}
	})
}

func TestLease(t *testing.T) {
	t.Run("a second controller on this machine is refused while the first lives", func(t *testing.T) {
		dir := t.TempDir()
		first, err := Acquire(dir)
		if err != nil {
			t.Fatal(err)
		}
		var held *Held
		if _, err := Acquire(dir); !errors.As(err, &held) || held.PID != os.Getpid() {
			t.Fatalf("second: %v", err)
		}
		if err := first.Release(); err != nil {
			t.Fatal(err)
		}
		second, err := Acquire(dir)
		if err != nil || second.Epoch() != first.Epoch()+1 {
			t.Errorf("after release: %+v, %v", second, err)
		}
	})

	t.Run("a dead holder on this machine loses it at once", func(t *testing.T) {
		dir := t.TempDir()
		l, err := Acquire(dir)
		if err != nil {
			t.Fatal(err)
		}
		dead := exec.Command("true")
		if err := dead.Run(); err != nil {
			t.Fatal(err)
		}
		l.me.PID = dead.Process.Pid
		if err := l.beat(); err != nil {
			t.Fatal(err)
		}
		if _, err := Acquire(dir); err != nil {
			t.Errorf("a dead holder kept the lease: %v", err)
		}
	})

	t.Run("a holder elsewhere keeps it until its heartbeat is old", func(t *testing.T) {
		dir := t.TempDir()
		l, err := Acquire(dir)
		if err != nil {
			t.Fatal(err)
		}
		l.me.Host = "another-login-node"
		if err := l.beat(); err != nil {
			t.Fatal(err)
		}
		if _, err := Acquire(dir); err == nil {
			t.Error("a fresh lease of another host was taken")
		}
		l.me.Beat = time.Now().Add(-2 * leaseStale)
		if err := l.write(l.path()); err != nil {
			t.Fatal(err)
		}
		if _, err := Acquire(dir); err != nil {
			t.Errorf("a stale lease of another host was not taken: %v", err)
		}
	})

	t.Run("of many controllers that start together one wins", func(t *testing.T) {
		dir := t.TempDir()
		results := make(chan error, 20)
		for range 20 {
			go func() { _, err := Acquire(dir); results <- err }()
		}
		won := 0
		for range 20 {
			if err := <-results; err == nil {
				won++
			}
		}
		if won != 1 {
			t.Errorf("%d controllers hold the lease", won)
		}
	})
}
