package relay

import (
	"errors"
	"fmt"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

func TestUsers(t *testing.T) {
	var s users
	for round := range 2 {
		for i := range 2 * usersKept {
			id := fmt.Sprint("user", i)
			raw := pack(map[string]any{"id": id})
			got, err := s.of(hypha.Header{User: raw})
			clear(raw) // it belongs to a frame
			if err != nil || got.ID != id {
				t.Fatalf("round %d: got %+v, %v", round, got, err)
			}
			if again, err := s.of(hypha.Header{User: pack(map[string]any{"id": id})}); err != nil || again.ID != id {
				t.Fatalf("round %d: got %+v, %v", round, again, err)
			}
		}
		if len(s.known) > usersKept {
			t.Errorf("keeps %d users", len(s.known))
		}
	}
	for _, tt := range []struct {
		raw  []byte
		want error
	}{{nil, errNoUser}, {[]byte{0xc1}, errBadUser}, {pack(map[string]any{"id": ""}), errBadUser}, {pack("root"), errBadUser}} {
		if _, err := s.of(hypha.Header{User: tt.raw}); !errors.Is(err, tt.want) {
			t.Errorf("%x: %v", tt.raw, err)
		}
	}
}
