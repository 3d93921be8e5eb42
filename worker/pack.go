package worker

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// pack encodes plain values: the same bytes for equal values.
func pack(v any) ([]byte, error) {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.SetSortMapKeys(true)
	e.UseCompactInts(true)
	err := e.Encode(v)
	return b.Bytes(), err
}

// unpack gives int64 (uint64 above its range), float64, string, []byte, []any
// and map[string]any only.
func unpack(b []byte) (any, error) {
	v, err := msgpack.NewDecoder(bytes.NewReader(b)).DecodeInterface()
	return widen(v), err
}

// widen makes one kind of integer and one of float, within containers too.
func widen(v any) any {
	switch n := reflect.ValueOf(v); n.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return n.Int()
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n.Uint() <= math.MaxInt64 {
			return int64(n.Uint())
		}
		return n.Uint()
	case reflect.Float32:
		return n.Float()
	}
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = widen(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = widen(v[key])
		}
	}
	return v
}

func unpackMap(b []byte) (map[string]any, error) {
	v, err := unpack(b)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("expected a map, found %s", pythonType(v))
	}
	return m, nil
}

// ordered is a map whose keys reach the client in this order.
type ordered []entry

type entry struct {
	key   string
	value any
}

// raw packs an ordered map, whose values may hold further ones.
func (o ordered) raw() (hypha.Raw, error) {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.SetSortMapKeys(true)
	e.UseCompactInts(true)
	if err := o.EncodeMsgpack(e); err != nil {
		return nil, fmt.Errorf("pack a status: %w", err)
	}
	return b.Bytes(), nil
}

var _ msgpack.CustomEncoder = ordered(nil)

// EncodeMsgpack writes the entries as a map.
func (o ordered) EncodeMsgpack(e *msgpack.Encoder) error {
	if err := e.EncodeMapLen(len(o)); err != nil {
		return err
	}
	for _, item := range o {
		if err := e.EncodeString(item.key); err != nil {
			return err
		}
		if err := e.Encode(item.value); err != nil {
			return err
		}
	}
	return nil
}

// validText makes text from outside fit for the wire: clients drop a whole
// message that holds invalid UTF-8.
func validText(lines []string) []string {
	for i, line := range lines {
		lines[i] = strings.ToValidUTF8(line, "\uFFFD")
	}
	return lines
}
