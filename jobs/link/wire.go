package link

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// writeChunk is the most that one write hands to yamux: with yamux's and the WebSocket's headers it fills one TLS
// record. It also bounds the buffers that yamux and crypto/tls keep per connection for good.
const writeChunk = 16<<10 - 32

// bufferPool holds buffers of about writeChunk bytes, shared by all connections of an end.
type bufferPool struct {
	pool   sync.Pool
	socket sync.Pool // gorilla's write buffers
}

func (p *bufferPool) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, writeChunk)
	return &b
}

func (p *bufferPool) put(b *[]byte) {
	*b = (*b)[:0]
	p.pool.Put(b)
}

// writeParts writes the parts one after the other in as few chunks as possible: short parts are joined, the inside of
// a long one is written from where it lies.
func (p *bufferPool) writeParts(w io.Writer, parts ...[]byte) error {
	chunk := p.get()
	defer p.put(chunk)
	joined := *chunk
	for _, part := range parts {
		for len(part) > 0 {
			if len(joined) == 0 && len(part) >= writeChunk {
				if _, err := w.Write(part[:writeChunk]); err != nil {
					return err
				}
				part = part[writeChunk:]
				continue
			}
			n := min(len(part), writeChunk-len(joined))
			joined = append(joined, part[:n]...)
			part = part[n:]
			if len(joined) < writeChunk {
				continue
			}
			if _, err := w.Write(joined); err != nil {
				return err
			}
			joined = joined[:0]
		}
	}
	if len(joined) == 0 {
		return nil
	}
	_, err := w.Write(joined)
	return err
}

// copyN writes size bytes of r in chunks; an error names which side failed.
func (p *bufferPool) copyN(w io.Writer, r io.Reader, size int64) error {
	chunk := p.get()
	defer p.put(chunk)
	buf := (*chunk)[:writeChunk]
	for size > 0 {
		n, err := io.ReadFull(r, buf[:min(size, writeChunk)])
		if err != nil {
			return &sourceError{unexpected(err)}
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// sourceError is a failure of Message.Reader: the message is cut short, the link is well.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return "read message: " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// encodeFrame returns length and JSON of v.
func encodeFrame(v any, limit int) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) > limit {
		return nil, fmt.Errorf("%d bytes: %w", len(body), ErrTooLarge)
	}
	frame := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	return append(frame, body...), nil
}

// readFrame reads one JSON frame into v. Memory grows with what arrives, not with what the length claims.
func readFrame(r io.Reader, limit int, v any) error {
	var prefix [4]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(prefix[:])
	if int64(size) > int64(limit) {
		return violation("a frame of %d bytes, limit %d", size, limit)
	}
	var body bytes.Buffer
	body.Grow(min(int(size), writeChunk))
	if _, err := io.CopyN(&body, r, int64(size)); err != nil {
		return unexpected(err)
	}
	if err := json.Unmarshal(body.Bytes(), v); err != nil {
		return violation("a frame that is not JSON: %v", err)
	}
	return nil
}

const (
	recordPrefix = 7
	flagOpens    = 1
	flagEnds     = 2
)

// encodeRecord returns the part of a record before its payload.
func encodeRecord(m *Message) []byte {
	b := make([]byte, recordPrefix, recordPrefix+len(m.Call))
	if m.Opens {
		b[0] |= flagOpens
	}
	if m.Ends {
		b[0] |= flagEnds
	}
	binary.BigEndian.PutUint16(b[1:], uint16(len(m.Call)))
	binary.BigEndian.PutUint32(b[3:], uint32(m.Len()))
	return append(b, m.Call...)
}

// readRecord reads a record up to its payload, whose size is returned. io.EOF: the stream ended between records.
func readRecord(r io.Reader, replica string, limit int64) (*Message, int64, error) {
	var prefix [recordPrefix]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, 0, err
	}
	size := int64(binary.BigEndian.Uint32(prefix[3:]))
	if size > limit {
		return nil, 0, violation("a message of %d bytes, limit %d", size, limit)
	}
	call := make([]byte, binary.BigEndian.Uint16(prefix[1:]))
	if _, err := io.ReadFull(r, call); err != nil {
		return nil, 0, unexpected(err)
	}
	return &Message{
		Replica: replica,
		Call:    string(call),
		Opens:   prefix[0]&flagOpens != 0,
		Ends:    prefix[0]&flagEnds != 0,
	}, size, nil
}

// unexpected makes the end of input inside something an error of its own.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
