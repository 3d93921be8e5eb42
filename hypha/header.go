package hypha

import (
	"fmt"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
)

// Header is the first segment of a frame, the `main` map (hypha-protocol 2.1). From, To, Workspace and User are
// set by the server over whatever the sender wrote; nothing else in a frame may be trusted.
type Header struct {
	Type      string
	From      string // "ws/client" of the sender, "*/manager" for the workspace manager
	To        string
	Method    string // "services.<id>.<path>" or "<session>.<name>"
	Session   string // where the sender wants the answer; "" = none
	Parent    string // the receiver's session that this frame belongs to
	Workspace string // workspace of the sender (`ws`)
	// User is the sender's user record, packed; it aliases the parsed bytes. See ParseUser.
	User msgpack.RawMessage
	// Other holds the keys not named above, in order, packed; they alias the parsed bytes.
	Other []Field
}

// Field is a key of a map with its packed value.
type Field struct {
	Key   string
	Value msgpack.RawMessage
}

// maxHeaderKeys bounds `main`: the protocol has nine keys.
const maxHeaderKeys = 64

// ParseHeader reads the `main` map at the start of b; n is its length, b[n:] is `extra`. The strings of h share one
// copy; User and Other alias b.
func ParseHeader(b []byte) (h Header, n int, err error) {
	r := unpacker{buf: b}
	count := r.mapLen()
	if r.err == nil && count > maxHeaderKeys {
		return h, 0, fmt.Errorf("hypha: header has %d keys", count)
	}
	var spans [7]span
	for range count {
		key := r.bytesOfString()
		if !utf8.Valid(key) {
			r.fail(errUTF8)
		}
		start := r.pos
		if i := headerKey(key); i >= 0 {
			spans[i] = r.optionalString()
			continue
		}
		r.skip()
		if r.err != nil {
			break
		}
		if value := msgpack.RawMessage(b[start:r.pos]); string(key) == "user" {
			h.User = value
		} else {
			h.Other = append(h.Other, Field{Key: string(key), Value: value})
		}
	}
	if r.err != nil {
		return Header{}, 0, fmt.Errorf("hypha: read header: %w", r.err)
	}
	h.fill(b[:r.pos], &spans)
	return h, r.pos, nil
}

// headerKey is the place of a key in the array that fill reads, or -1.
func headerKey(key []byte) int {
	switch string(key) {
	case "type":
		return 0
	case "from":
		return 1
	case "to":
		return 2
	case "method":
		return 3
	case "session":
		return 4
	case "parent":
		return 5
	case "ws":
		return 6
	}
	return -1
}

// fill makes all strings out of one allocation.
func (h *Header) fill(main []byte, spans *[7]span) {
	all := string(main)
	for i, field := range []*string{&h.Type, &h.From, &h.To, &h.Method, &h.Session, &h.Parent, &h.Workspace} {
		*field = all[spans[i].from:spans[i].to]
	}
}

// Append packs h at the end of b. Empty fields are left out.
func (h Header) Append(b []byte) []byte {
	texts := [...]struct{ key, value string }{
		{"type", h.Type}, {"from", h.From}, {"to", h.To}, {"method", h.Method},
		{"session", h.Session}, {"parent", h.Parent}, {"ws", h.Workspace},
	}
	count := len(h.Other)
	for _, t := range texts {
		if t.value != "" {
			count++
		}
	}
	if len(h.User) > 0 {
		count++
	}
	b = appendMapLen(b, count)
	for _, t := range texts {
		if t.value != "" {
			b = appendString(appendString(b, t.key), t.value)
		}
	}
	if len(h.User) > 0 {
		b = append(appendString(b, "user"), h.User...)
	}
	for _, f := range h.Other {
		b = append(appendString(b, f.Key), f.Value...)
	}
	return b
}
