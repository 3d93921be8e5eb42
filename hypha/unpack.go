package hypha

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// The msgpack reader is made by hand for three reasons: it reads frames of strangers without recursing deeper than
// maxDepth, it returns bytes without copying them, and it steps over values it need not understand.

var (
	errTruncated = errors.New("msgpack value is truncated")
	errUTF8      = errors.New("text is not valid UTF-8")
	errInvalid   = errors.New("msgpack has an invalid code")
	errDepth     = fmt.Errorf("msgpack is nested deeper than %d", maxDepth)
)

// maxDepth bounds nested lists and maps in values that are decoded.
const maxDepth = 200

type kind uint8

const (
	kindInvalid kind = iota
	kindNil
	kindBool
	kindInt   // token.bits is an int64
	kindUint  // token.bits is a uint64
	kindFloat // token.bits is a float64
	kindString
	kindBin
	kindArray
	kindMap
	kindExt
)

// token is the head of a value: all of it for numbers; kind and length for the others.
type token struct {
	kind kind
	ext  int8   // type of an extension
	n    int    // bytes of a string, bin or extension; elements of an array, pairs of a map
	bits uint64 // value of a bool, number
}

// readHead reads the head at the start of b and its length; length 0 means that b is too short, at most 9 bytes are
// needed.
func readHead(b []byte) (t token, length int) {
	if len(b) == 0 {
		return t, 0
	}
	c := b[0]
	switch {
	case c <= 0x7f:
		return token{kind: kindInt, bits: uint64(c)}, 1
	case c <= 0x8f:
		return token{kind: kindMap, n: int(c & 0x0f)}, 1
	case c <= 0x9f:
		return token{kind: kindArray, n: int(c & 0x0f)}, 1
	case c <= 0xbf:
		return token{kind: kindString, n: int(c & 0x1f)}, 1
	case c >= 0xe0:
		return token{kind: kindInt, bits: uint64(int64(int8(c)))}, 1
	}
	return readLongHead(b)
}

// longHead says for the codes 0xc0 to 0xdf, counted from the first, what they are and how many bytes of number follow.
var longHead = [32]struct {
	kind kind
	size uint8
}{
	0: {kindNil, 0}, 2: {kindBool, 0}, 3: {kindBool, 0},
	4: {kindBin, 1}, 5: {kindBin, 2}, 6: {kindBin, 4},
	7: {kindExt, 1}, 8: {kindExt, 2}, 9: {kindExt, 4},
	10: {kindFloat, 4}, 11: {kindFloat, 8},
	12: {kindUint, 1}, 13: {kindUint, 2}, 14: {kindUint, 4}, 15: {kindUint, 8},
	16: {kindInt, 1}, 17: {kindInt, 2}, 18: {kindInt, 4}, 19: {kindInt, 8},
	20: {kindExt, 0}, 21: {kindExt, 0}, 22: {kindExt, 0}, 23: {kindExt, 0}, 24: {kindExt, 0},
	25: {kindString, 1}, 26: {kindString, 2}, 27: {kindString, 4},
	28: {kindArray, 2}, 29: {kindArray, 4}, 30: {kindMap, 2}, 31: {kindMap, 4},
}

func readLongHead(b []byte) (t token, length int) {
	code := longHead[b[0]-0xc0]
	length = 1 + int(code.size)
	if code.kind == kindExt {
		length++
	}
	if len(b) < length {
		return t, 0
	}
	t = token{kind: code.kind, bits: readNumber(b[1 : 1+code.size])}
	switch code.kind {
	case kindBool:
		t.bits = uint64(b[0] & 1)
	case kindFloat:
		if code.size == 4 {
			t.bits = math.Float64bits(float64(math.Float32frombits(uint32(t.bits))))
		}
	case kindInt:
		t.bits = signExtend(t.bits, code.size)
	case kindExt:
		t.n, t.ext = int(t.bits), int8(b[length-1])
		if code.size == 0 {
			t.n = 1 << (b[0] - 0xd4)
		}
	case kindString, kindBin, kindArray, kindMap:
		t.n = int(t.bits)
	}
	return t, length
}

func readNumber(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func signExtend(v uint64, size uint8) uint64 {
	shift := 64 - 8*uint(size)
	return uint64(int64(v<<shift) >> shift)
}

// unpacker reads values from memory. After a failure err is set and every read returns a zero.
type unpacker struct {
	buf []byte
	pos int
	err error
}

// span is a piece of unpacker.buf.
type span struct{ from, to int }

func (r *unpacker) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%w at byte %d", err, r.pos)
	}
}

// next reads a head. A promised length that the rest of the buffer cannot hold is refused here, so callers may
// allocate by it.
func (r *unpacker) next() token {
	if r.err != nil {
		return token{}
	}
	t, length := readHead(r.buf[r.pos:])
	if length == 0 {
		r.fail(errTruncated)
		return token{}
	}
	need := t.n
	if t.kind == kindMap {
		need *= 2
	}
	switch {
	case t.kind == kindInvalid:
		r.fail(errInvalid)
	case need > len(r.buf)-r.pos-length:
		r.fail(errTruncated)
	default:
		r.pos += length
		return t
	}
	return token{}
}

// body returns the bytes of a string, bin or extension whose head was just read.
func (r *unpacker) body(t token) []byte {
	if r.err != nil {
		return nil
	}
	r.pos += t.n
	return r.buf[r.pos-t.n : r.pos : r.pos]
}

func (r *unpacker) expect(want kind) token {
	t := r.next()
	if r.err == nil && t.kind != want {
		r.fail(fmt.Errorf("msgpack value has kind %d, want %d", t.kind, want))
	}
	if r.err != nil {
		return token{}
	}
	return t
}

func (r *unpacker) mapLen() int           { return r.expect(kindMap).n }
func (r *unpacker) arrayLen() int         { return r.expect(kindArray).n }
func (r *unpacker) bytesOfString() []byte { return r.body(r.expect(kindString)) }

// optionalString reads a string or nil (as an empty one) and says where it lies.
func (r *unpacker) optionalString() span {
	t := r.next()
	if r.err == nil && t.kind != kindString && t.kind != kindNil {
		r.fail(errors.New("msgpack value is no string"))
	}
	if r.err != nil {
		return span{}
	}
	r.pos += t.n
	if !utf8.Valid(r.buf[r.pos-t.n : r.pos]) {
		r.fail(errUTF8)
	}
	return span{r.pos - t.n, r.pos}
}

// skip steps over one value of any depth without recursion.
func (r *unpacker) skip() {
	for pending := 1; pending > 0 && r.err == nil; pending-- {
		switch t := r.next(); t.kind {
		case kindString, kindBin, kindExt:
			r.pos += t.n
		case kindArray:
			pending += t.n
		case kindMap:
			pending += 2 * t.n
		}
	}
}
