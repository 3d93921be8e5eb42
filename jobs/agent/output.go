package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

const (
	outputBytes = 1 << 20  // of lines kept while the link takes none; then the oldest are dropped, and counted
	lineWeight  = 64       // what a line counts beside its text
	outputBatch = 64 << 10 // bytes sent in one piece
	lastCount   = 20       // lines told when the child has ended …
	lastLine    = 1000     // … and the bytes of each
	quietOutput = 5 * time.Second
)

// output carries a child's lines to the controller. Python never waits for it.
type output struct {
	replica string
	uplink  *uplink
	done    signal // run has returned

	mu      sync.Mutex // guards the following fields
	lines   []link.LogRecord
	bytes   int
	dropped int
	last    []string
	lastErr string // the last line of stderr that is not empty
	closing bool
	wake    chan struct{} // capacity 1: something has changed
}

func newOutput(replica string, u *uplink) *output {
	return &output{replica: replica, uplink: u, done: newSignal(), wake: make(chan struct{}, 1)}
}

// read takes the lines of one stream until its end. A longer line than the link takes is cut into several.
func (o *output) read(stream uint8, r io.Reader) {
	lines := bufio.NewReaderSize(r, link.MaxLogLine)
	for {
		line, err := lines.ReadSlice('\n')
		if n := len(line); n > 0 && line[n-1] == '\n' {
			line = line[:n-1]
		} else if n == 0 {
			return
		}
		o.add(link.LogRecord{Stream: stream, Time: time.Now(), Text: string(line)})
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// add keeps one line.
func (o *output) add(r link.LogRecord) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, r)
	o.bytes += len(r.Text) + lineWeight
	for o.bytes > outputBytes {
		o.bytes -= len(o.lines[0].Text) + lineWeight
		o.lines = o.lines[1:]
		o.dropped++
	}
	if len(o.last) == lastCount {
		o.last = slices.Delete(o.last, 0, 1)
	}
	text := r.Text[:min(len(r.Text), lastLine)]
	o.last = append(o.last, text)
	if r.Stream == link.Stderr && strings.TrimSpace(text) != "" {
		o.lastErr = text
	}
	o.changed()
}

func (o *output) changed() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// lastLines returns the lines that the child printed last, and the last one of stderr.
func (o *output) lastLines() (lines []string, lastErr string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.last), o.lastErr
}

// take returns the bytes of the oldest lines, at most about outputBatch.
func (o *output) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	var batch []byte
	if o.dropped > 0 {
		text := fmt.Sprintf("bioengine-agent: %d lines were dropped while the controller took none", o.dropped)
		batch = link.AppendLog(batch, link.LogRecord{Stream: link.Stderr, Time: time.Now(), Text: text})
		o.dropped = 0
	}
	n := 0
	for ; n < len(o.lines) && len(batch) < outputBatch; n++ {
		batch = link.AppendLog(batch, o.lines[n])
		o.bytes -= len(o.lines[n].Text) + lineWeight
	}
	if o.lines = o.lines[n:]; len(o.lines) == 0 {
		o.lines = nil
	}
	return batch
}

// waiting says whether there are lines, and whether more can come.
func (o *output) waiting() (some, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.lines) > 0, !o.closing
}

// run sends lines until ctx ends, or until all are sent after finish. Lines that a failing link had taken are lost.
func (o *output) run(ctx context.Context) {
	defer o.done.give()
	for o.wait(ctx, nil) {
		stream, err := o.open(ctx)
		if err != nil {
			select {
			case <-time.After(firstRedial): // the link is just failing
			case <-ctx.Done():
			}
			continue
		}
		stop := context.AfterFunc(ctx, func() { stream.Close() })
		o.pump(ctx, stream)
		stop()
		stream.Close()
	}
}

func (o *output) open(ctx context.Context) (*link.Stream, error) {
	conn, err := o.uplink.get(ctx)
	if err != nil {
		return nil, err
	}
	return conn.Open(ctx, link.Header{Kind: link.KindLog, Replica: o.replica})
}

// pump writes lines to a stream until it fails, or until none has come for a while: a quiet replica costs the
// controller no stream.
func (o *output) pump(ctx context.Context, stream *link.Stream) {
	for {
		if batch := o.take(); len(batch) > 0 {
			if _, err := stream.Write(batch); err != nil {
				return
			}
			continue
		}
		if !o.wait(ctx, time.After(quietOutput)) {
			return
		}
	}
}

// wait waits for lines; false: none will come, quiet has passed, or ctx has ended.
func (o *output) wait(ctx context.Context, quiet <-chan time.Time) bool {
	for {
		if some, more := o.waiting(); some || !more {
			return some && ctx.Err() == nil
		}
		select {
		case <-o.wake:
		case <-quiet:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// finish says that no line comes any more, and waits until all are sent.
func (o *output) finish(ctx context.Context) {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	o.changed()
	select {
	case <-o.done.c:
	case <-ctx.Done():
	}
}
