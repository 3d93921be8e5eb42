package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

func TestAgentRedialsAfterControllerRestart(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	<-j.hellos
	j.call("answered", "echo before")
	j.answer("answered")
	j.call("held", "hold")
	j.call("late", "later 1.5")
	j.call("ready", "echo arrived") // so the two before it have arrived
	j.answer("ready")

	j.stop()
	time.Sleep(2 * time.Second) // Python answers meanwhile
	j.start()
	hello := receive(t, j.hellos, "a new greeting")
	if len(hello.Replicas) != 1 {
		t.Fatalf("the agent greeted with %+v", hello)
	}
	live := hello.Replicas[0]
	slices.Sort(live.Calls)
	if live.Tag != tag || live.State != link.StateReady || live.Ready == nil || live.End != nil || len(live.Steps) != 3 ||
		!slices.Equal(live.Calls, []string{"held", "late"}) {
		t.Fatalf("the agent lists %+v", live)
	}
	if got := j.answer("late"); got != "late" {
		t.Fatalf("the answer that waited is %q", got)
	}
	j.call("go on", "settle done")
	if got := j.answer("held"); got != "done" {
		t.Fatalf("got %q", got)
	}
}

// TestOutboxHoldsPythonBack has Python send more than the agent keeps while there is no link.
func TestOutboxHoldsPythonBack(t *testing.T) {
	const count, size = 1200, 100 << 10 // 120 MB
	j := newJob(t, map[string]any{"health": "silent"})
	j.event(link.EventReady)
	<-j.hellos
	j.call("ready", "echo x")
	j.answer("ready")
	j.call("burst", fmt.Sprintf("burst %d %d", count, size))
	j.message() // it has begun
	j.stop()
	time.Sleep(2 * time.Second)
	j.start()
	receive(t, j.hellos, "a new greeting")
	last, lost := 0, 0
	for {
		m := j.message()
		if m.Ends {
			break
		}
		i := int(binary.BigEndian.Uint32(m.Data))
		if i <= last {
			t.Fatalf("message %d came after %d", i, last)
		}
		lost += i - last - 1
		last = i
	}
	t.Logf("%d of %d messages were in flight when the link was cut", lost, count)
	if last != count-1 {
		t.Fatalf("the last message is %d", last)
	}
}

// TestAgentRedialsWhilePythonDoesNotRead cuts the link while a message to Python is half written.
func TestAgentRedialsWhilePythonDoesNotRead(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	<-j.hellos
	j.call("c", "sleep 5")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var err error
	for sent := 0; err == nil; sent++ {
		m := &link.Message{Replica: tag, Call: fmt.Sprint("filler", sent), Opens: true, Data: append([]byte("hold "), make([]byte, 200<<10)...)}
		err = j.link().Send(ctx, m)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the controller was not held back: %v", err)
	}
	start := time.Now()
	j.stop()
	j.start()
	receive(t, j.hellos, "a new greeting")
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the agent redialled after %v", took)
	}
	j.call("after", "echo well") // the frames are still whole
	if got := j.answer("after"); got != "well" {
		t.Fatalf("got %q", got)
	}
}

func TestLinesAreKeptWhileThereIsNoLink(t *testing.T) {
	j := newJob(t, nil)
	j.event(link.EventReady)
	<-j.hellos
	j.line("out of r1x1")
	j.call("c", "later 0.3")
	j.answer("c")
	j.call("c", "print 40000") // 40,000 lines weigh more than 1 MiB
	j.stop()
	time.Sleep(2 * time.Second)
	j.start()
	receive(t, j.hellos, "a new greeting")
	j.line("line 39999")
	j.mu.Lock()
	defer j.mu.Unlock()
	told := slices.ContainsFunc(j.lines, func(r link.LogRecord) bool { return strings.Contains(r.Text, "lines were dropped") })
	all := 0
	for _, r := range j.lines {
		if strings.HasPrefix(r.Text, "line ") {
			all++
		}
	}
	if !told && all < 40000 {
		t.Fatalf("%d lines came, and nothing says how many were dropped", all)
	}
	t.Logf("%d of 40000 lines came", all)
}
