package hypha

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func store(limits Limits) *chunkStore { return newChunkStore(limits.withDefaults()) }

func put(t *testing.T, s *chunkStore, key string, index int64, data []byte) error {
	t.Helper()
	_, err := s.apply("set", "ws/peer", chunkArgs{key: key, index: index, data: data}, time.Now())
	return err
}

func create(t *testing.T, s *chunkStore, key string) {
	t.Helper()
	if _, err := s.apply("create", "ws/peer", chunkArgs{key: key}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func process(t *testing.T, s *chunkStore, key string) *chunkMessage {
	t.Helper()
	m, err := s.apply("process", "ws/peer", chunkArgs{key: key}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestChunks_join_in_any_order in memory and from a file.
func TestChunks_join_in_any_order(t *testing.T) {
	for name, limits := range map[string]Limits{"memory": {}, "file": {SpoolAboveBytes: 50, SpoolDir: t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			s := store(limits)
			create(t, s, "k")
			whole := make([]byte, 1000)
			_, _ = rand.Read(whole)
			for _, i := range []int64{3, 0, 9, 1, 2, 8, 7, 5, 6, 4} {
				if err := put(t, s, "k", i, whole[i*100:i*100+100]); err != nil {
					t.Fatal(err)
				}
			}
			m := process(t, s, "k")
			p := m.after(17)
			got, err := p.bytes()
			if err != nil || !bytes.Equal(got, whole[17:]) || !bytes.Equal(m.start(), whole) || p.Len() != 983 {
				t.Errorf("joined wrongly: %v", err)
			}
			if at, ok := p.Reader.(io.ReaderAt); ok {
				part := make([]byte, 250)
				if n, err := at.ReadAt(part, 733); n != 250 || err != nil || !bytes.Equal(part, whole[750:]) {
					t.Errorf("reading at an offset: %d, %v", n, err)
				}
				if n, err := at.ReadAt(part, 900); n != 83 || !errors.Is(err, io.EOF) {
					t.Errorf("reading over the end: %d, %v", n, err)
				}
			}
			if memory, disk := s.held(); memory+disk != 1000 {
				t.Errorf("held: %d, %d", memory, disk)
			}
			m.release()
			m.release()
			if memory, disk := s.held(); memory != 0 || disk != 0 {
				t.Errorf("held after release: %d, %d", memory, disk)
			}
			if left, err := os.ReadDir(limits.SpoolDir); limits.SpoolDir != "" && (err != nil || len(left) > 0) {
				t.Errorf("left in the folder: %v, %v", left, err)
			}
		})
	}
}

func TestChunks_are_bounded(t *testing.T) {
	refused := func(err error, class string) {
		t.Helper()
		var own *Error
		if !errors.As(err, &own) || own.Class != class {
			t.Errorf("%v, want a %s", err, class)
		}
	}
	s := store(Limits{MaxMessageBytes: 1000, SpoolAboveBytes: 200, MaxMemoryBytes: 300, MaxDiskBytes: 2000, BuffersPerSender: 3, SpoolDir: t.TempDir()})
	refused(put(t, s, "none", 0, nil), "KeyError")
	create(t, s, "a")
	_, err := s.apply("create", "ws/peer", chunkArgs{key: "a"}, time.Now())
	refused(err, "ValueError")
	create(t, s, "b")
	create(t, s, "c")
	_, err = s.apply("create", "ws/peer", chunkArgs{key: "d"}, time.Now())
	refused(err, "ValueError")
	if _, err := s.apply("create", "ws/other", chunkArgs{key: "a"}, time.Now()); err != nil {
		t.Errorf("another sender: %v", err)
	}
	refused(put(t, s, "a", -1, nil), "ValueError")
	refused(put(t, s, "a", maxChunkIndex, nil), "ValueError")
	refused(put(t, s, "a", 0, make([]byte, 1001)), "ValueError")
	for _, key := range []string{"a", "b"} { // the second one finds the memory full
		if err := put(t, s, key, 0, make([]byte, 200)); err != nil {
			t.Error(err)
		}
	}
	if memory, disk := s.held(); memory != 200 || disk != 200 {
		t.Errorf("held: %d, %d", memory, disk)
	}
	for range 4 { // again and again the same chunk of a spooled message
		if err := put(t, s, "b", 0, make([]byte, 200)); err != nil {
			t.Error(err)
		}
	}
	refused(put(t, s, "b", 0, make([]byte, 200)), "ValueError")
	if err := put(t, s, "c", 0, make([]byte, 999)); err != nil {
		t.Error(err)
	}
	refused(put(t, s, "a", 1, make([]byte, 700)), "ValueError") // the disk is full
	if err := put(t, s, "c", 2, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	_, err = s.apply("process", "ws/peer", chunkArgs{key: "c"}, time.Now())
	refused(err, "ValueError") // a hole
	s.sweep(time.Now().Add(time.Hour))
	if memory, disk := s.held(); memory != 0 || disk != 0 || len(s.byKey) != 0 || len(s.bySender) != 0 {
		t.Errorf("held after an hour: %d, %d, %d buffers", memory, disk, len(s.byKey))
	}
}

func TestChunks_append_remove_and_overwrite(t *testing.T) {
	s := store(Limits{})
	create(t, s, "k")
	for _, text := range []string{"ab", "cd"} {
		if _, err := s.apply("append", "ws/peer", chunkArgs{key: "k", data: []byte(text)}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if m := process(t, s, "k"); string(m.joined) != "abcd" {
		t.Errorf("appended: %q", m.joined)
	} else {
		m.release()
	}
	create(t, s, "k")
	if err := put(t, s, "k", 0, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.apply("create", "ws/peer", chunkArgs{key: "k", overwrite: true}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.apply("remove", "ws/peer", chunkArgs{key: "k"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if memory, disk := s.held(); memory != 0 || disk != 0 {
		t.Errorf("held: %d, %d", memory, disk)
	}
}

// TestChunks_of_a_departed_sender_are_freed at a real server.
func TestChunks_of_a_departed_sender_are_freed(t *testing.T) {
	h := systems.Hypha(t)
	c, sender := mustConnect(t, account(t, h, "halfway")), mustConnect(t, account(t, h, "halfway"))
	if _, err := sender.Call(testContext(t), c.Address(), builtinPrefix+"message_cache.create", "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := sender.Call(testContext(t), c.Address(), builtinPrefix+"message_cache.set", "k", 0, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if c.Stats().BufferedMemory != 1000 {
		t.Errorf("buffered: %+v", c.Stats())
	}
	_ = sender.Close()
	until(t, "the buffer is freed", func() bool { return c.Stats().BufferedMemory == 0 })
}

// TestLarge_messages_do_not_fill_the_memory: 96 MB pass through the Router in both directions without being held.
func TestLarge_messages_do_not_fill_the_memory(t *testing.T) {
	h := systems.Hypha(t)
	m := &relayOfSizes{}
	config := account(t, h, "huge")
	config.Router, config.Limits.SpoolDir = m, t.TempDir()
	c := mustConnect(t, config)
	m.client = c
	if err := c.RegisterOpaque(testContext(t), mirrorService("mirror", "public")(c)); err != nil {
		t.Fatal(err)
	}
	sender := mustConnect(t, account(t, h, "huge"))
	const size = 96 << 20
	message := Header{Type: "method", To: c.Address(), Method: "services.mirror.echo", Session: "c-nowhere"}
	body := appendSingleArg(nil, appendBinLen(nil, size))
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan error, 1)
	go func() {
		done <- sender.Send(testContext(t), message, Payload{Reader: io.MultiReader(bytes.NewReader(body), zeros{}), Size: int64(len(body)) + size})
	}()
	var most uint64
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		case <-time.After(50 * time.Millisecond):
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
		}
	}
	until(t, "the answer has gone out", func() bool { return m.answered.Load() == size })
	t.Logf("heap grew by %d MB at most", most>>20)
	if most > 64<<20 {
		t.Errorf("heap grew by %d MB while %d MB passed", most>>20, size>>20)
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// relayOfSizes copies each message away from its file, as the link would.
type relayOfSizes struct {
	client   *Client
	answered atomic.Int64
}

func (r *relayOfSizes) PeerGone(string) {}

func (r *relayOfSizes) Route(f Frame) {
	go func() {
		defer f.Release()
		n, err := io.Copy(io.Discard, f.Extra.Reader)
		if err == nil && strings.HasPrefix(f.Header.Method, "services.") {
			r.answered.Store(n - n%(1<<20))
		}
	}()
}
