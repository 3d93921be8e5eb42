package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"testing"
)

// vectors are the frames that the runtime's tests read too.
type vectors struct {
	Messages []struct {
		Name    string
		Kind    uint8
		ID      uint32
		Flags   uint8
		Head    string
		Data    string
		Pattern int
		Frames  []struct {
			Hex    string
			Bytes  int
			SHA256 string
		}
	}
	Bare []struct {
		Name    string
		Kind    uint8
		ID      uint32
		Payload string
		Hex     string
	}
	Broken []struct{ Name, Hex string }
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	text, err := os.ReadFile("runtime/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Messages) == 0 || len(v.Bare) == 0 || len(v.Broken) == 0 {
		t.Fatal("the vectors are empty")
	}
	return v
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// TestVectors holds our frames to those that the runtime is tested with.
func TestVectors(t *testing.T) {
	v := readVectors(t)
	for _, m := range v.Messages {
		t.Run(m.Name, func(t *testing.T) {
			data := unhex(t, m.Data)
			if m.Pattern > 0 {
				data = pattern(m.Pattern)
			}
			wire := appendMessage(nil, m.Kind, m.Flags, m.ID, []byte(m.Head), data)
			if sent := sendAll(t, m.Kind, m.Flags, m.ID, []byte(m.Head), data); !bytes.Equal(sent, wire) {
				t.Error("send and appendMessage differ")
			}
			rest := wire
			for i, f := range m.Frames {
				want, size := unhex(t, f.Hex), f.Bytes
				if f.Hex != "" {
					size = len(want)
				}
				if size > len(rest) {
					t.Fatalf("frame %d is cut short", i)
				}
				got := rest[:size]
				rest = rest[size:]
				sum := sha256.Sum256(got)
				if f.Hex != "" && !bytes.Equal(got, want) || f.Hex == "" && hex.EncodeToString(sum[:]) != f.SHA256 {
					t.Errorf("frame %d is %x…", i, got[:min(32, len(got))])
				}
			}
			if len(rest) > 0 {
				t.Errorf("%d bytes too many", len(rest))
			}
			checkDecoded(t, wire, m.Kind, m.Flags, m.ID, m.Head, data)
		})
	}
	for _, b := range v.Bare {
		if got := hex.EncodeToString(appendBare(nil, b.Kind, b.ID, unhex(t, b.Payload)...)); got != b.Hex {
			t.Errorf("%s: %s, want %s", b.Name, got, b.Hex)
		}
		f, err := newDecoder(bytes.NewReader(unhex(t, b.Hex)), &fragments{}).next()
		if err != nil || f.kind != b.Kind || f.id != b.ID || hex.EncodeToString(f.data) != b.Payload {
			t.Errorf("%s: read %+v, %v", b.Name, f, err)
		}
	}
	for _, b := range v.Broken {
		_, err := newDecoder(bytes.NewReader(unhex(t, b.Hex)), &fragments{}).next()
		var broken *frameError
		if !errors.As(err, &broken) {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
}

// sendAll returns what socket.send and socket.sendFrom write, which must be the same.
func sendAll(t *testing.T, kind, flags uint8, id uint32, head, data []byte) []byte {
	t.Helper()
	write := func(send func(*socket) error) []byte {
		s, theirs, err := newSocket(&fragments{})
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		sent := make(chan error, 1)
		go func() {
			defer s.close()
			sent <- send(s)
		}()
		conn, err := net.FileConn(theirs)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		got, err := io.ReadAll(conn)
		if err := errors.Join(err, <-sent); err != nil {
			t.Fatal(err)
		}
		return got
	}
	one := write(func(s *socket) error { return s.send(nil, kind, flags, id, head, data) })
	two := write(func(s *socket) error {
		_, err := s.sendFrom(nil, kind, flags, id, head, bytes.NewReader(data), int64(len(data)))
		return err
	})
	if !bytes.Equal(one, two) {
		t.Error("send and sendFrom differ")
	}
	return one
}

func checkDecoded(t *testing.T, wire []byte, kind, flags uint8, id uint32, head string, data []byte) {
	t.Helper()
	d := newDecoder(bytes.NewReader(wire), &fragments{})
	var got []byte
	for first := true; ; first = false {
		f, err := d.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.kind != kind || f.id != id || first && (f.flags&^flagLast != flags|flagFirst || string(f.head) != head || f.size != int64(len(data))) {
			t.Fatalf("read %+v", f)
		}
		got = append(got, f.data...)
		if f.is(flagLast) {
			break
		}
	}
	if !bytes.Equal(got, data) {
		t.Error("other data was read")
	}
	if _, err := d.next(); err != io.EOF {
		t.Errorf("after the message: %v", err)
	}
}
