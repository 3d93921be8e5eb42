package hypha

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// maxValues bounds how many values one message may decode into: a list of a million one-byte nils takes sixteen
// times its size in memory.
const maxValues = 4 << 20

// decoder builds values out of msgpack (hypha-protocol 3). Bytes of the result alias the input.
type decoder struct {
	r unpacker
	// function makes a callable of a method reference; nil leaves the map.
	function func(ref map[string]any) *Function
	values   int
}

// decodePlain decodes b wholly, without making functions callable.
func decodePlain(b []byte) (any, error) {
	d := decoder{r: unpacker{buf: b}}
	return d.value(0)
}

func (d *decoder) value(depth int) (any, error) {
	v := d.any(depth)
	return v, d.r.err
}

func (d *decoder) any(depth int) any {
	if depth > maxDepth {
		d.r.fail(errDepth)
		return nil
	}
	t := d.r.next()
	switch t.kind {
	case kindBool:
		return t.bits == 1
	case kindInt:
		return int64(t.bits)
	case kindUint:
		return unsigned(t.bits)
	case kindFloat:
		return math.Float64frombits(t.bits)
	case kindString:
		return d.text(t)
	case kindBin:
		return d.r.body(t)
	case kindArray:
		return d.array(t.n, depth)
	case kindMap:
		return d.object(t.n, depth)
	case kindExt:
		return d.extension(t)
	}
	return nil
}

// unsigned is an int64 wherever one can hold v, so that handlers see one kind of integer.
func unsigned(v uint64) any {
	if int64(v) >= 0 {
		return int64(v)
	}
	return v
}

func (d *decoder) text(t token) any {
	b := d.r.body(t)
	if !utf8.Valid(b) {
		d.r.fail(errUTF8)
		return nil
	}
	return string(b)
}

// take accounts for n values before anything is allocated for them.
func (d *decoder) take(n int) bool {
	if d.values += n; d.values > maxValues {
		d.r.fail(fmt.Errorf("more than %d values", maxValues))
	}
	return d.r.err == nil
}

func (d *decoder) array(n, depth int) any {
	if !d.take(n) {
		return nil
	}
	list := make([]any, n)
	for i := range list {
		list[i] = d.any(depth + 1)
	}
	return list
}

func (d *decoder) object(n, depth int) any {
	if !d.take(2 * n) {
		return nil
	}
	fields := make(map[string]any, n)
	for range n {
		key := d.key()
		if d.r.err != nil {
			return nil
		}
		fields[key] = d.any(depth + 1)
	}
	if rtype, ok := fields["_rtype"].(string); ok {
		return d.typed(rtype, fields)
	}
	return fields
}

func (d *decoder) key() string {
	t := d.r.next()
	if d.r.err == nil && t.kind != kindString {
		d.r.fail(errors.New("map has a key that is no text"))
	}
	if d.r.err != nil {
		return ""
	}
	s, _ := d.text(t).(string)
	return s
}

// extension reads timestamps, which JavaScript sends for Date; other extensions are dropped to their bytes.
func (d *decoder) extension(t token) any {
	b := d.r.body(t)
	if t.ext != -1 || d.r.err != nil {
		return b
	}
	switch len(b) {
	case 4:
		return time.Unix(int64(binary.BigEndian.Uint32(b)), 0).UTC()
	case 8:
		v := binary.BigEndian.Uint64(b)
		return time.Unix(int64(v&(1<<34-1)), int64(v>>34)).UTC()
	case 12:
		return time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b))).UTC()
	}
	return b
}
