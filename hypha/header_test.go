package hypha

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

var sampleHeader = Header{
	Type: "method", From: "ws-user-a/client", To: "ws-user-b/other-client", Method: "services.app.run", Session: "Bu4E3jqhddLxidMLKkeipd",
	Parent: "c-parent", Workspace: "ws-user-a",
	User: mustMarshal(map[string]any{"id": "a", "email": "a@example.org", "roles": []string{"x"}, "scope": map[string]any{"workspaces": map[string]any{"ws-user-a": "a"}}}),
	Other: []Field{
		{"later_version", mustMarshal([]any{1, "x", nil, map[string]any{"deep": []byte{1}}})},
	},
}

func mustMarshal(v any) []byte {
	b, err := msgpack.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func TestHeader_comes_back_with_what_it_does_not_know(t *testing.T) {
	extra := []byte("extra is not looked at")
	h, n, err := ParseHeader(append(sampleHeader.Append(nil), extra...))
	if err != nil || !reflect.DeepEqual(h, sampleHeader) {
		t.Fatalf("%+v, %v", h, err)
	}
	if b := sampleHeader.Append(nil); n != len(b) || !bytes.Equal(h.Append(nil), b) {
		t.Errorf("length %d of %d", n, len(b))
	}
	empty, n, err := ParseHeader([]byte{0x80, 0x81})
	if err != nil || n != 1 || !reflect.DeepEqual(empty, Header{}) {
		t.Errorf("an empty header: %+v, %d, %v", empty, n, err)
	}
}

func TestHeader_is_read_by_other_libraries_and_read_from_them(t *testing.T) {
	var fields map[string]any
	if err := msgpack.Unmarshal(sampleHeader.Append(nil), &fields); err != nil || fields["ws"] != "ws-user-a" || len(fields) != 9 {
		t.Errorf("%v, %v", fields, err)
	}
	h, _, err := ParseHeader(mustMarshal(map[string]any{"type": "method", "to": "a/b", "session": nil, "parent": nil}))
	if err != nil || h.Type != "method" || h.To != "a/b" || h.Session != "" {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestHeader_refuses(t *testing.T) {
	deep := bytes.Repeat([]byte{0x91}, 1<<20)
	many := appendMapLen(nil, maxHeaderKeys+1)
	for i := range maxHeaderKeys + 1 {
		many = appendNil(appendString(many, string(rune('a'+i))))
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "no map": {0xc0}, "a cut map": {0x82, 0xa2, 't', 'o'}, "a number as key": {0x81, 1, 2}, "a number as type": append(appendString([]byte{0x81}, "type"), 1),
		"more than is there": {0xdf, 0xff, 0xff, 0xff, 0xff}, "an invalid code": {0x81, 0xa1, 'x', 0xc1}, "endless nesting": append([]byte{0x81, 0xa1, 'x'}, deep...), "many keys": many,
	} {
		if h, _, err := ParseHeader(b); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestUser(t *testing.T) {
	u, err := ParseUser(mustMarshal(map[string]any{
		"id": "bot", "parent": "person", "email": "p@example.org", "is_anonymous": false, "roles": []string{"admin"}, "expires_at": 12.5,
		"scope": map[string]any{"current_workspace": "ws"}, "new": 1,
	}))
	want := User{ID: "bot", Parent: "person", Email: "p@example.org", Roles: []string{"admin"}, ExpiresAt: 12.5, Scope: map[string]any{"current_workspace": "ws"}}
	if err != nil || !reflect.DeepEqual(u, want) || u.Owner() != "person" || (User{ID: "x"}).Owner() != "x" {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := ParseUser([]byte{0xc1}); err == nil {
		t.Error("garbage was read as a user")
	}
	if u, err := ParseUser(nil); err != nil || !reflect.DeepEqual(u, User{}) {
		t.Errorf("no user: %+v, %v", u, err)
	}
}

// mutations calls f with damaged copies of b: bytes changed, cut, or doubled. The same every time.
func mutations(b []byte, count int, f func([]byte)) {
	random := rand.New(rand.NewPCG(1, 2))
	for range count {
		m := bytes.Clone(b)
		for range 1 + random.IntN(4) {
			if len(m) == 0 {
				break
			}
			switch i := random.IntN(len(m)); random.IntN(4) {
			case 0:
				m[i] = byte(random.UintN(256))
			case 1:
				m = m[:i]
			case 2:
				m = append(m[:i:i], m[min(len(m), i+1+random.IntN(8)):]...)
			case 3:
				m = append(m[:i:i], append(bytes.Clone(m[i:min(len(m), i+8)]), m[i:]...)...)
			}
		}
		f(m)
	}
}

// checkHeader is what must hold for any bytes.
func checkHeader(t *testing.T, b []byte) {
	h, n, err := ParseHeader(b)
	if err != nil {
		return
	}
	again, m, err := ParseHeader(h.Append(nil))
	if err != nil || n > len(b) || m == 0 {
		t.Fatalf("% x is read, but not read again: %v", b, err)
	}
	if !reflect.DeepEqual(h, again) {
		t.Fatalf("% x: %+v came back as %+v", b, h, again)
	}
}

func TestHeader_survives_damage(t *testing.T) {
	mutations(sampleHeader.Append(nil), 20000, func(b []byte) { checkHeader(t, b) })
}

func FuzzHeader(f *testing.F) {
	f.Add(sampleHeader.Append(nil))
	f.Add([]byte{0x80})
	f.Fuzz(checkHeader)
}

func BenchmarkParseHeader(b *testing.B) {
	packed := sampleHeader.Append(nil)
	b.SetBytes(int64(len(packed)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseHeader(packed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = sampleHeader.Append(buf[:0])
	}
}
