package hypha

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

var sampleValue = map[string]any{
	"nil": nil, "true": true, "small": int64(-3), "int": int64(1 << 40), "uint": uint64(math.MaxUint64), "float": 1.5, "text": "ü€😀", "long": strings.Repeat("x", 300),
	"bytes": []byte{0, 1, 255}, "list": []any{int64(1), []any{}, map[string]any{}}, "array": NDArray{DType: "float32", Shape: []int{1, 2}, Data: make([]byte, 8)},
	"typed": TypedArray{DType: "int16", Data: []byte{1, 2}}, "view": MemoryView{1}, "set": Set{"a", int64(1)}, "map": OrderedMap{{int64(1), "one"}, {"k", nil}},
	"unknown": map[string]any{"_rtype": "from the future", "x": int64(1)}, "error": &RemoteError{Class: "ValueError", Message: "bad", Trace: "ValueError: bad"},
}

func TestValue_comes_back(t *testing.T) {
	packed := mustPack(t, sampleValue)
	got, err := decodePlain(packed)
	if err != nil || !reflect.DeepEqual(got, any(sampleValue)) {
		t.Errorf("%#v\n%v", got, err)
	}
	if !bytes.Equal(packed, mustPack(t, sampleValue)) {
		t.Error("packing twice gives different bytes")
	}
}

// TestValue_agrees_with_msgpack compares every width of every kind with an independent library.
func TestValue_agrees_with_msgpack(t *testing.T) {
	values := []any{nil, true, false, 0.0, -2.5, math.Inf(1), math.MaxUint64 - uint64(1), "", strings.Repeat("s", 31), strings.Repeat("s", 32), strings.Repeat("s", 256), strings.Repeat("s", 65536)}
	for shift := range 63 {
		for _, n := range []int64{1<<shift - 1, 1 << shift, -(1 << shift), -(1 << shift) - 1} {
			values = append(values, n)
		}
	}
	for _, n := range []int{0, 15, 16, 255, 256, 65535, 65536} {
		values = append(values, make([]byte, n), make([]any, n))
		fields := map[string]any{}
		for i := range min(n, 70000) {
			fields[string(rune(i+0x10000))] = int64(i)
		}
		values = append(values, fields)
	}
	for _, value := range values {
		var theirs any
		if err := msgpack.Unmarshal(mustPack(t, value), &theirs); err != nil || !same(theirs, value) {
			t.Fatalf("%.100v is read by msgpack as %.100v, %v", value, theirs, err)
		}
		ours, err := decodePlain(mustMarshal(value))
		if err != nil || !same(ours, value) {
			t.Fatalf("%.100v of msgpack is read as %.100v, %v", value, ours, err)
		}
	}
}

// same ignores the width of integers, which that library keeps.
func same(a, b any) bool {
	if fields, ok := a.(map[string]any); ok {
		for key, value := range fields {
			fields[key] = wide(value)
		}
	}
	return reflect.DeepEqual(wide(a), b)
}

func wide(a any) any {
	switch v := reflect.ValueOf(a); v.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return v.Int()
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return unsigned(v.Uint())
	}
	return a
}

func TestValue_of_foreign_forms(t *testing.T) {
	for name, test := range map[string]struct {
		packed []byte
		want   any
	}{
		"float32":                    {[]byte{0xca, 0x3f, 0x80, 0, 0}, 1.0},
		"timestamp of 4 bytes":       {[]byte{0xd6, 0xff, 0, 0, 0, 1}, time.Unix(1, 0).UTC()},
		"timestamp of 8 bytes":       {[]byte{0xd7, 0xff, 0, 0, 0, 4, 0, 0, 0, 1}, time.Unix(1, 1).UTC()},
		"timestamp of 12 bytes":      {append([]byte{0xc7, 12, 0xff, 0, 0, 0, 1}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), time.Unix(-1, 1).UTC()},
		"another extension":          {[]byte{0xd4, 5, 9}, []byte{9}},
		"array in pieces":            {mustMarshal(map[string]any{"_rtype": "ndarray", "_rdtype": "uint8", "_rshape": []int{2}, "_rvalue": []any{[]byte{1}, []byte{2}}}), NDArray{DType: "uint8", Shape: []int{2}, Data: []byte{1, 2}}},
		"array without shape":        {mustMarshal(map[string]any{"_rtype": "ndarray", "_rdtype": "uint8", "_rvalue": []byte{1}}), map[string]any{"_rtype": "ndarray", "_rdtype": "uint8", "_rvalue": []byte{1}}},
		"reference in a plain value": {mustMarshal(map[string]any{"_rtype": "method", "_rtarget": "a/b", "_rmethod": "x"}), map[string]any{"_rtype": "method", "_rtarget": "a/b", "_rmethod": "x"}},
	} {
		if got, err := decodePlain(test.packed); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %#v, %v", name, got, err)
		}
	}
}

func TestValue_sends_Go_kinds(t *testing.T) {
	type word string
	one := 1
	for _, test := range []struct{ value, want any }{
		{int8(-1), int64(-1)}, {uint16(7), int64(7)}, {float32(0.5), 0.5}, {word("w"), "w"}, {[]string{"a"}, []any{"a"}}, {[2]int{1, 2}, []any{int64(1), int64(2)}},
		{map[word]int{"k": 1}, map[string]any{"k": int64(1)}}, {&one, int64(1)}, {(*int)(nil), nil}, {(*Function)(nil), nil}, {Raw(nil), nil}, {Raw{5}, int64(5)},
		{time.Unix(0, 0).UTC(), "1970-01-01T00:00:00Z"}, {"bad \xff", "bad \uFFFD"}, {MemoryView(nil), MemoryView{}},
	} {
		got, err := decodePlain(mustPack(t, test.value))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%#v arrives as %#v, %v", test.value, got, err)
		}
	}
	cycle := map[string]any{}
	cycle["self"] = cycle
	for _, bad := range []any{make(chan int), map[int]int{1: 1}, struct{}{}, cycle, Callback(nil), []any{[]any{func() {}}}} {
		if _, err := encodePlain(bad); err == nil {
			t.Errorf("a %T was packed", bad)
		}
	}
}

func TestValue_refuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing": nil, "a cut text": {0xa5, 'a'}, "a cut list": {0xdd, 0, 1, 0, 0}, "bad UTF-8": {0xa1, 0xff}, "a key that is a number": {0x81, 1, 2},
		"endless nesting": bytes.Repeat([]byte{0x91}, 1<<20), "too many values": append([]byte{0xdd, 0, 0x80, 0, 0}, bytes.Repeat([]byte{0xc0}, 8<<20)...),
	} {
		if v, err := decodePlain(b); err == nil {
			t.Errorf("%s: %.100v", name, v)
		}
	}
}

func TestRemoteError_is_the_last_line(t *testing.T) {
	for _, test := range []struct {
		value, class, message string
	}{
		{"ValueError: bad: very", "ValueError", "bad: very"},
		{"Traceback (most recent call last):\n  File x\nmy.module.Odd: text\n\n", "my.module.Odd", "text"},
		{"Session not found: a/b:c", "", "Session not found: a/b:c"},
		{"", "", ""},
	} {
		if e := parseRemoteError(test.value, "trace"); e.Class != test.class || e.Message != test.message {
			t.Errorf("%q: %+v", test.value, e)
		}
	}
}

// checkValue is what must hold for any bytes: what is read can be packed, and is read the same again.
func checkValue(t *testing.T, b []byte) {
	value, err := decodePlain(b)
	if err != nil {
		return
	}
	packed, err := encodePlain(value)
	if err != nil {
		t.Fatalf("% x is read as %#v, which cannot be packed: %v", b, value, err)
	}
	again, err := decodePlain(packed)
	if err != nil {
		t.Fatalf("% x: %#v is not read again: %v", b, value, err)
	}
	if twice, _ := encodePlain(again); !bytes.Equal(packed, twice) { // NaN differs from itself, its bytes do not
		t.Fatalf("% x: %#v came back as %#v", b, value, again)
	}
}

func TestValue_survives_damage(t *testing.T) {
	mutations(mustPack(t, sampleValue), 20000, func(b []byte) { checkValue(t, b) })
}

func FuzzValue(f *testing.F) {
	packed, err := encodePlain(sampleValue)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(checkValue)
}

func BenchmarkEncode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encodePlain(sampleValue); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	packed, err := encodePlain(sampleValue)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(packed)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodePlain(packed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode_array_of_5_MB(b *testing.B) {
	packed, err := encodePlain(NDArray{DType: "float64", Shape: []int{625000}, Data: make([]byte, 5_000_000)})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(packed)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodePlain(packed); err != nil {
			b.Fatal(err)
		}
	}
}
