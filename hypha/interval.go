package hypha

import (
	"errors"
	"io"
	"math"
	"time"
)

const (
	// maxSkipped bounds the values that PromiseInterval steps over (some 20 ms).
	maxSkipped = 4 << 20
	// windowBytes is how much of a spooled payload is read at a time.
	windowBytes = 32 << 10
)

// PromiseInterval reads out of `extra`, without decoding arguments, how often the caller wants a heartbeat (0: never), and
// whether it wants an answer. ok is false when that cannot be told: encrypted, malformed, or too many values to step
// over; the callee's own heartbeats must then be let through.
func PromiseInterval(p *Payload) (interval time.Duration, promise, ok bool) {
	w := newWindow(p)
	if w == nil || w.size == 0 {
		return 0, false, w != nil
	}
	short, found := false, time.Duration(0)
	for left := w.mapLen(); left > 0 && w.err == nil; left-- {
		switch w.text() {
		case "promise":
			promise = true
			short, interval = w.promise(interval)
		case "t":
			found = seconds(w.number())
		case "_enc":
			return 0, false, false
		default:
			w.skip()
		}
	}
	if short {
		interval = found
	}
	return interval, promise, w.err == nil
}

// promise reads "*" (short) or the long map with its interval.
func (w *window) promise(interval time.Duration) (short bool, _ time.Duration) {
	t := w.next()
	if t.kind != kindMap {
		w.jump(t)
		return true, interval
	}
	for left := t.n; left > 0 && w.err == nil; left-- {
		if w.text() == "interval" {
			interval = seconds(w.number())
		} else {
			w.skip()
		}
	}
	return false, interval
}

// window steps over values of a payload in memory or in a file, of which it holds a small part.
type window struct {
	buf   []byte
	pos   int64 // of the next byte in the payload
	start int64 // of buf in the payload
	size  int64
	file  io.ReaderAt // nil when buf is all
	steps int
	err   error
}

// newWindow is nil when the payload can only be read once.
func newWindow(p *Payload) *window {
	if p.Reader == nil {
		return &window{buf: p.Data, size: int64(len(p.Data))}
	}
	file, ok := p.Reader.(io.ReaderAt)
	if !ok {
		return nil
	}
	return &window{file: file, size: p.Size}
}

// ahead is what lies at pos: at least the head of the next value, as far as there is one.
func (w *window) ahead(need int64) []byte {
	have := w.start + int64(len(w.buf)) - w.pos
	if w.file != nil && have < min(need, w.size-w.pos) {
		b := make([]byte, min(max(windowBytes, need), w.size-w.pos))
		if n, err := w.file.ReadAt(b, w.pos); n < len(b) {
			w.fail(err)
			return nil
		}
		w.buf, w.start = b, w.pos
	}
	return w.buf[w.pos-w.start:]
}

func (w *window) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

var errTooMany = errors.New("too many values")

func (w *window) next() token {
	if w.err != nil {
		return token{}
	}
	if w.steps++; w.steps > maxSkipped {
		w.fail(errTooMany)
		return token{}
	}
	t, length := readHead(w.ahead(9))
	switch {
	case w.err != nil:
		return token{}
	case length == 0:
		w.fail(errTruncated)
		return token{}
	case t.kind == kindInvalid:
		w.fail(errInvalid)
		return token{}
	}
	w.pos += int64(length)
	return t
}

// jump steps over the body of a value whose head was read; bodies of bytes are not touched.
func (w *window) jump(t token) {
	for pending := int64(0); ; pending-- {
		switch t.kind {
		case kindString, kindBin, kindExt:
			if w.pos += int64(t.n); w.pos > w.size {
				w.fail(errTruncated)
			}
		case kindArray:
			pending += int64(t.n)
		case kindMap:
			pending += 2 * int64(t.n)
		}
		if pending > 1 && w.err == nil {
			pending = w.glide(pending)
		}
		if pending == 0 || w.err != nil {
			return
		}
		t = w.next()
	}
}

// glide steps over numbers and the like as long as they come one after the other: long lists are made of them.
func (w *window) glide(pending int64) int64 {
	b := w.ahead(9)
	start := len(b)
	for pending > 0 && len(b) >= 9 && w.steps < maxSkipped {
		n := fixedLength[b[0]]
		if n == 0 {
			break
		}
		b = b[n:]
		pending--
		w.steps++
	}
	w.pos += int64(start - len(b))
	return pending
}

// fixedLength is how many bytes the values take whose first byte tells all, 0 for the others.
var fixedLength = func() (lengths [256]uint8) {
	for code := range lengths {
		switch t, length := readHead([]byte{byte(code), 0, 0, 0, 0, 0, 0, 0, 0}); t.kind {
		case kindNil, kindBool, kindInt, kindUint, kindFloat:
			lengths[code] = uint8(length)
		}
	}
	return lengths
}()

func (w *window) skip() { w.jump(w.next()) }

func (w *window) mapLen() int {
	t := w.next()
	if w.err == nil && t.kind != kindMap {
		w.fail(errInvalid)
		return 0
	}
	return t.n
}

// text reads a key; long ones are of no interest and come back empty.
func (w *window) text() string {
	t := w.next()
	if w.err == nil && t.kind != kindString {
		w.fail(errInvalid)
	}
	if w.err != nil || t.n > 16 || int64(t.n) > w.size-w.pos {
		w.jump(t)
		return ""
	}
	b := w.ahead(int64(t.n))
	if w.err != nil {
		return ""
	}
	w.pos += int64(t.n)
	return intern(b[:t.n])
}

// intern spares the allocation of the keys that are looked for.
func intern(b []byte) string {
	for _, key := range [...]string{"promise", "t", "interval", "_enc"} {
		if string(b) == key {
			return key
		}
	}
	return ""
}

func (w *window) number() float64 {
	switch t := w.next(); t.kind {
	case kindInt:
		return float64(int64(t.bits))
	case kindUint:
		return float64(t.bits)
	case kindFloat:
		return math.Float64frombits(t.bits)
	default:
		w.jump(t)
		return 0
	}
}
