package bed

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"
)

func TestCache(t *testing.T) {
	t.Run("the name changes with a word, a file's content and a file's name, and with nothing else", func(t *testing.T) {
		name := func(word, path, content string) string {
			hash, err := hashFiles([]string{word}, fstest.MapFS{path: {Data: []byte(content)}})
			if err != nil {
				t.Fatal(err)
			}
			return hash
		}
		names := make(map[string]bool)
		for range 2 {
			names[name("3.11", "lock", "a==1")] = true
			names[name("3.12", "lock", "a==1")] = true
			names[name("3.11", "lock", "a==2")] = true
			names[name("3.11", "lock2", "a==1")] = true
		}
		if len(names) != 4 {
			t.Errorf("4 definitions have %d names", len(names))
		}
	})
	t.Run("of many builders at once one builds", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "part")
		var builds atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				err := buildOnce(t.Context(), io.Discard, "part", target, func(temporary string, _ *os.File) error {
					builds.Add(1)
					return os.WriteFile(temporary, nil, 0o644)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := builds.Load(); got != 1 || !exists(target) {
			t.Errorf("built %d times, there: %t", got, exists(target))
		}
	})
	t.Run("a failed build leaves nothing and the next one starts afresh", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "part")
		failure := errors.New("no mirror")
		build := func(result error) func(string, *os.File) error {
			return func(temporary string, _ *os.File) error {
				return errors.Join(os.Mkdir(temporary, 0o755), result) // fails if something is there
			}
		}
		if err := buildOnce(t.Context(), io.Discard, "part", target, build(failure)); !errors.Is(err, failure) {
			t.Errorf("the failed build returned %v", err)
		}
		if exists(target) || exists(target+".new") {
			t.Error("the failed build left something")
		}
		if err := buildOnce(t.Context(), io.Discard, "part", target, build(nil)); err != nil || !exists(target) {
			t.Errorf("the next build returned %v, there: %t", err, exists(target))
		}
	})
}

func TestRun(t *testing.T) {
	t.Setenv("BIOENGINE_TEST_CACHE", t.TempDir())
	start := func() *exec.Cmd {
		sleep := exec.CommandContext(t.Context(), "sleep", "600")
		if err := sleep.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sleep.Process.Kill() })
		return sleep
	}
	t.Run("a dead owner's processes end, but none that was given a pid since", func(t *testing.T) {
		run, err := newRun(t.Context(), "test", true)
		if err != nil {
			t.Fatal(err)
		}
		ours, foreign := start(), start()
		if err := recordProcess(run, ours.Process.Pid, "ours"); err != nil {
			t.Fatal(err)
		}
		pids, err := os.OpenFile(filepath.Join(run, "pids"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pids.WriteString(strconv.Itoa(foreign.Process.Pid) + " 1 foreign\n"); err != nil {
			t.Fatal(err)
		}
		pids.Close()
		if err := reapStale(t.Context()); err != nil || !exists(run) {
			t.Fatalf("the run of a living owner was reaped (%v)", err)
		}
		if err := os.WriteFile(filepath.Join(run, "owner"), []byte(strconv.Itoa(os.Getpid())+" 1\n"), 0o644); err != nil {
			t.Fatal(err) // our pid, but of a process that started right after boot
		}
		if err := reapStale(t.Context()); err != nil || exists(run) {
			t.Errorf("the run of a dead owner is there: %t (%v)", exists(run), err)
		}
		_ = ours.Wait() // returns because it was killed
		if state, _, err := processStat(foreign.Process.Pid); err != nil || state == "Z" {
			t.Errorf("the foreign process is in state %s (%v)", state, err)
		}
	})
	t.Run("the keeper reaps when the pipe closes", func(t *testing.T) {
		run, err := newRun(t.Context(), "test", true)
		if err != nil {
			t.Fatal(err)
		}
		k, err := startKeeper(run)
		if err != nil {
			t.Fatal(err)
		}
		ours := start()
		if err := recordProcess(run, ours.Process.Pid, "ours"); err != nil {
			t.Fatal(err)
		}
		if err := k.stop(); err != nil || exists(run) {
			t.Errorf("the run is there: %t (%v)", exists(run), err)
		}
		_ = ours.Wait()
	})
}

func TestToken(t *testing.T) {
	h := &Hypha{JWTSecret: "secret"}
	token, err := h.Token("alice", Expires(time.Minute), Workspace("ws-lab", "rw"), Current("ws-lab"), ClientID("worker"), Email(""))
	if err != nil {
		t.Fatal(err)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(body, &claims); err != nil {
		t.Fatal(err)
	}
	if got, want := claims["scope"], "ws:ws-user-alice#a ws:ws-lab#rw cid:worker wid:ws-lab"; got != want {
		t.Errorf("scope is %q, not %q", got, want)
	}
	if claims["sub"] != "alice" || claims["exp"].(float64)-claims["iat"].(float64) != 60 || claims["https://amun.ai/email"] != nil {
		t.Errorf("claims are %v", claims)
	}
}
