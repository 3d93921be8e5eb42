package agent

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// Frames of the socket between agent and Python. All integers are big-endian.
//
//	frame   = u32 length of the rest | u8 kind | u8 flags | u32 id | payload
//	payload = of a message's first frame: u64 size of all data | u16 length of head | head | data; of a later one: data
//
// A message's data is cut into fragments of at most fragmentSize; fragments of different messages may interleave. The
// sender chooses the id, per kind. testdata/vectors.json of the runtime is read by the tests of both sides.
const (
	kindControl = 1 // JSON object with a "type"
	kindHypha   = 2 // head: call key; data: a Hypha message
	kindCall    = 3 // head: {"deployment","method"}; data: the arguments, pickled by the runtime
	kindResult  = 4 // id: that of the call; head: {"ok"}; data: the result, or an error: pickled, or text made on the way
	kindAck     = 5 // bare; id and u8 kind: one fragment of a fragmented message was taken
	kindCancel  = 6 // bare; id of a call whose result is not wanted any more
	kindAbort   = 7 // id; head: u8 kind; data: why. The rest of a message to Python will not come
)

const (
	flagFirst = 1
	flagLast  = 2
	flagOpens = 4
	flagEnds  = 8
)

const (
	fragmentSize = 256 << 10
	window       = 4         // fragments of one message that Python may send ahead of our acknowledgements
	maxPartial   = 1024      // fragmented messages that Python may have under way; the bound of their memory is 4 fragments each
	maxControl   = 16 << 20  // bytes of one control message
	maxData      = 256 << 20 // bytes of any other

	frameHeader = 10
	frameBase   = frameHeader - 4 // counted by length
	framePrefix = 10
	maxFrame    = frameBase + framePrefix + 1<<16 - 1 + fragmentSize
)

// Both sides of the agent have the same limits, so that nothing that came in can fail to go out.
var (
	_ [maxData - link.MaxMessage]struct{}
	_ [fragmentSize - link.SmallMessage]struct{}
)

// frame is one received frame. Data belongs to its receiver; that of a fragment is given back by buffers.put.
type frame struct {
	kind, flags uint8
	id          uint32
	size        int64 // of the whole message's data; in the first frame
	head        []byte
	data        []byte
}

func (f *frame) is(flag uint8) bool { return f.flags&flag != 0 }

// fragmented says that the frame is one of several.
func (f *frame) fragmented() bool { return f.flags&(flagFirst|flagLast) != flagFirst|flagLast }

// appendFrame appends a frame up to its data, of which n bytes follow.
func appendFrame(b []byte, kind, flags uint8, id uint32, prefix []byte, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(frameBase+len(prefix)+n))
	b = append(b, kind, flags)
	b = binary.BigEndian.AppendUint32(b, id)
	return append(b, prefix...)
}

// messagePrefix is what precedes the data of a message's first frame.
func messagePrefix(size int64, head []byte) []byte {
	b := make([]byte, 0, framePrefix+len(head))
	b = binary.BigEndian.AppendUint64(b, uint64(size))
	b = binary.BigEndian.AppendUint16(b, uint16(len(head)))
	return append(b, head...)
}

// appendMessage appends all frames of a message that is in memory.
func appendMessage(b []byte, kind, flags uint8, id uint32, head, data []byte) []byte {
	prefix := messagePrefix(int64(len(data)), head)
	flags |= flagFirst
	for {
		n := min(len(data), fragmentSize)
		if n == len(data) {
			flags |= flagLast
		}
		b = append(appendFrame(b, kind, flags, id, prefix, n), data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return b
		}
		prefix, flags = nil, 0
	}
}

func appendBare(b []byte, kind uint8, id uint32, payload ...byte) []byte {
	return append(appendFrame(b, kind, flagFirst|flagLast, id, nil, len(payload)), payload...)
}

// frameError is a broken rule of the socket; the child is ended.
type frameError struct{ what string }

func (e *frameError) Error() string { return "Python broke the socket's protocol: " + e.what }

func broken(format string, args ...any) error { return &frameError{fmt.Sprintf(format, args...)} }

type messageKey struct {
	kind uint8
	id   uint32
}

// decoder reads frames and holds them to the announced sizes.
type decoder struct {
	r       *bufio.Reader
	buffers *fragments
	partial map[messageKey]int64 // bytes still to come
}

func newDecoder(r io.Reader, buffers *fragments) *decoder {
	return &decoder{r: bufio.NewReaderSize(r, 64<<10), buffers: buffers, partial: map[messageKey]int64{}}
}

// next reads one frame. io.EOF: Python closed the socket between frames.
func (d *decoder) next() (*frame, error) {
	var b [frameHeader]byte
	if _, err := io.ReadFull(d.r, b[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(b[:])
	if length < frameBase || length > maxFrame {
		return nil, broken("a frame of %d bytes", length)
	}
	f := &frame{kind: b[4], flags: b[5], id: binary.BigEndian.Uint32(b[6:])}
	rest := int64(length) - frameBase
	var err error
	switch {
	case f.kind == kindAck || f.kind == kindCancel:
		f.size = rest
	case f.is(flagFirst):
		rest, err = d.begin(f, rest)
	default:
		err = d.proceed(f, rest)
	}
	if err != nil {
		return nil, err
	}
	if f.fragmented() {
		f.data = d.buffers.get()[:rest]
	} else {
		f.data = make([]byte, rest)
	}
	_, err = io.ReadFull(d.r, f.data)
	return f, err
}

// begin reads the prefix of a message's first frame and returns how much data the frame has.
func (d *decoder) begin(f *frame, rest int64) (int64, error) {
	if rest < framePrefix {
		return 0, broken("a first frame without its prefix")
	}
	var b [framePrefix]byte
	if _, err := io.ReadFull(d.r, b[:]); err != nil {
		return 0, err
	}
	size, head := binary.BigEndian.Uint64(b[:]), int64(binary.BigEndian.Uint16(b[8:]))
	limit := uint64(maxData)
	if f.kind == kindControl {
		limit = maxControl
	}
	if size > limit {
		return 0, broken("a message of %d bytes, limit %d", size, limit)
	}
	if rest -= framePrefix + head; rest < 0 {
		return 0, broken("a head longer than its frame")
	}
	f.size, f.head = int64(size), make([]byte, head)
	if _, err := io.ReadFull(d.r, f.head); err != nil {
		return 0, err
	}
	key := messageKey{f.kind, f.id}
	if _, known := d.partial[key]; known {
		return 0, broken("message %d of kind %d begins twice", f.id, f.kind)
	}
	if len(d.partial) >= maxPartial {
		return 0, broken("more than %d messages at a time", maxPartial)
	}
	d.partial[key] = f.size
	return rest, d.proceed(f, rest)
}

// proceed counts the data of a frame against its message.
func (d *decoder) proceed(f *frame, rest int64) error {
	key := messageKey{f.kind, f.id}
	left, known := d.partial[key]
	switch left -= rest; {
	case !known:
		return broken("a fragment of message %d of kind %d, which has not begun", f.id, f.kind)
	case left < 0, rest > fragmentSize:
		return broken("more data than announced")
	case f.is(flagLast) && left > 0:
		return broken("less data than announced")
	case f.is(flagLast):
		delete(d.partial, key)
	default:
		d.partial[key] = left
	}
	return nil
}
