package hypha

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// callExtra is what callers send: arguments first, then the promise, as Python packs it.
func callExtra(args []byte, promise string, t any) []byte {
	b := appendString(appendMapLen(nil, 3), "args")
	b = append(b, args...)
	b = appendString(appendString(b, "promise"), promise)
	b = appendString(b, "t")
	packed, _ := encodePlain(t)
	return append(b, packed...)
}

func TestPromiseInterval(t *testing.T) {
	args := appendArrayLen(nil, 50000)
	for i := range 50000 {
		args = appendInt(args, int64(i*i))
	}
	long, err := encodePlain(map[string]any{"promise": map[string]any{"heartbeat": map[string]any{"_rmethod": "x"}, "interval": 7.5, "resolve": "r"}, "args": []any{make([]byte, 100000)}})
	if err != nil {
		t.Fatal(err)
	}
	without, _ := encodePlain(map[string]any{"promise": map[string]any{"resolve": 1}})
	encrypted, _ := encodePlain(map[string]any{"_enc": map[string]any{"v": 2}, "data": []byte("x")})
	storm, _ := encodePlain(map[string]any{"promise": "*", "t": 0.000001})
	for name, test := range map[string]struct {
		extra    []byte
		interval time.Duration
		promise  bool
		ok       bool
	}{
		"short":          {callExtra(args, "*", 15), 15 * time.Second, true, true},
		"long map":       {long, 7500 * time.Millisecond, true, true},
		"no heartbeat":   {without, 0, true, true},
		"no promise":     {appendSingleArg(nil, appendInt(nil, 1)), 0, false, true},
		"no extra":       {nil, 0, false, true},
		"encrypted":      {encrypted, 0, false, false},
		"too often":      {storm, shortestBeat, true, true},
		"not a map":      {[]byte{0x93, 1, 2, 3}, 0, false, false},
		"cut":            {callExtra(args, "*", 15)[:1000], 0, false, false},
		"huge promises":  {[]byte{0xdf, 0xff, 0xff, 0xff, 0xff}, 0, false, false},
		"negative t":     {callExtra(appendArrayLen(nil, 0), "*", -1), 0, true, true},
		"too many":       {callExtra(append([]byte{0xdd, 0, 0x50, 0, 0}, make([]byte, 5<<20)...), "*", 15), 0, false, false},
		"bytes past end": {append(appendString(appendMapLen(nil, 1), "args"), 0xc6, 0xff, 0xff, 0xff, 0xff), 0, false, false},
	} {
		for kind, p := range map[string]Payload{
			"memory": {Data: test.extra},
			"file":   {Reader: io.NewSectionReader(bytes.NewReader(test.extra), 0, int64(len(test.extra))), Size: int64(len(test.extra))},
		} {
			interval, promise, ok := PromiseInterval(&p)
			if ok != test.ok || ok && (interval != test.interval || promise != test.promise) {
				t.Errorf("%s in %s: %s, %v, %v", name, kind, interval, promise, ok)
			}
			if p.Reader != nil {
				if all, err := io.ReadAll(p.Reader); err != nil || !bytes.Equal(all, test.extra) {
					t.Errorf("%s: the payload was consumed", name)
				}
			}
		}
	}
	if _, _, ok := PromiseInterval(&Payload{Reader: bytes.NewBufferString("xx"), Size: 2}); ok {
		t.Error("a payload that can be read once only was read")
	}
}

func checkInterval(t *testing.T, b []byte) {
	memory, file := Payload{Data: b}, Payload{Reader: bytes.NewReader(b), Size: int64(len(b))}
	i1, p1, ok1 := PromiseInterval(&memory)
	i2, p2, ok2 := PromiseInterval(&file)
	if ok1 != ok2 || ok1 && (i1 != i2 || p1 != p2) {
		t.Fatalf("% x: %v %v %v in memory, %v %v %v in a file", b, i1, p1, ok1, i2, p2, ok2)
	}
}

func TestPromiseInterval_survives_damage(t *testing.T) {
	args, _ := encodePlain([]any{"x", 1, map[string]any{"a": []any{1, 2, []byte("abc")}}})
	mutations(callExtra(args, "*", 15.0), 20000, func(b []byte) { checkInterval(t, b) })
}

func FuzzPromiseInterval(f *testing.F) {
	f.Add(callExtra([]byte{0x91, 1}, "*", 15))
	f.Fuzz(checkInterval)
}

func BenchmarkPromiseInterval(b *testing.B) {
	ints := appendArrayLen(nil, 50000)
	for i := range 50000 {
		ints = appendInt(ints, int64(i))
	}
	for name, args := range map[string][]byte{
		"one_int": {0x91, 1}, "200_KB_of_bytes": append([]byte{0x91}, appendBin(nil, make([]byte, 200_000))...), "list_of_50000_ints": append([]byte{0x91}, ints...),
	} {
		p := Payload{Data: callExtra(args, "*", 15)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok := PromiseInterval(&p); !ok {
					b.Fatal("not read")
				}
			}
		})
	}
}
