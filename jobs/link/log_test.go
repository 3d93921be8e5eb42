package link

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func TestLogRecords(t *testing.T) {
	at := time.Unix(1700000000, 123456789)
	var wire bytes.Buffer
	for _, text := range []string{"", "a line", strings.Repeat("x", MaxLogLine+3)} {
		if err := WriteLog(&wire, LogRecord{Stream: Stderr, Time: at, Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"", "a line", strings.Repeat("x", MaxLogLine), "xxx"} {
		r, err := ReadLog(&wire)
		if err != nil || r.Stream != Stderr || !r.Time.Equal(at) || r.Text != want {
			t.Fatalf("read %+v, %v; want %q", r, err, want)
		}
	}
	if _, err := ReadLog(&wire); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
	for _, bad := range [][]byte{{0, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 20, 1}} {
		if _, err := ReadLog(bytes.NewReader(append(bad, make([]byte, 10)...))); err == nil {
			t.Fatalf("% x was taken", bad)
		}
	}
}

func TestHandleAnswers(t *testing.T) {
	var wire bytes.Buffer
	if err := RefuseHandle(&wire, "ReplicaLost: gone"); err != nil {
		t.Fatal(err)
	}
	status, size, err := ReadHandleAnswer(&wire)
	if err != nil || status != HandleRefused || size != int64(wire.Len()) || wire.String() != "ReplicaLost: gone" {
		t.Fatalf("%d %d %v %q", status, size, err, wire.String())
	}
	if err := WriteHandleAnswer(&wire, HandleOK, MaxMessage+1); err != nil {
		t.Fatal(err)
	}
	wire.Next(17)
	if _, _, err := ReadHandleAnswer(&wire); err == nil {
		t.Fatal("an answer above the limit was taken")
	}
}
