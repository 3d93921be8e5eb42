//go:build systems

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// TestPassThrough sends frames with an unknown _rtype and random argument
// bytes, small and in chunks, and compares their hash with that of the bytes
// that the replica saw before it decoded them.
func TestPassThrough(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	cli(t, ctx, "app", "save", "test/apps/wiretap")
	run(t, ctx, "wiretap", "wiretap")
	c, err := client()
	if err != nil {
		t.Fatal(err)
	}
	service, err := c.GetService(ctx, shared.Workspace+"/wiretap", hypha.GetServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`^[^:]+`).FindString(service.ID())
	random := rand.NewChaCha8([32]byte{1})
	want := map[string]int{}
	for _, size := range []int{10, 5_000, 300_000, 6_000_000} {
		noise := make([]byte, size)
		if _, err := random.Read(noise); err != nil {
			t.Fatal(err)
		}
		extra, err := msgpack.Marshal(map[string]any{"args": []any{map[string]any{"_rtype": "unheard-of", "data": noise}}})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(extra)
		want[hex.EncodeToString(sum[:])] = size
		err = c.Send(ctx, hypha.Header{Type: "method", To: address, Method: "services.wiretap.take"}, hypha.Payload{Data: extra})
		if err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	eventually(t, ctx, "all frames arrived unchanged", func() bool {
		if err := call(ctx, "wiretap", "seen", nil, &seen); err != nil {
			t.Fatal(err)
		}
		left := len(want)
		for _, sum := range seen {
			if _, ok := want[sum]; ok {
				left--
			}
		}
		return left == 0
	})
}

// decodedBytes fails when a connection that carried calls of an application
// says at its end that the controller decoded argument bytes of them.
func decodedBytes(path string) (connections int, decoded []string, err error) {
	log, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	for _, line := range bytes.Split(log, []byte("\n")) {
		m := regexp.MustCompile(`"decoded_call_bytes": (\d+)`).FindSubmatch(line)
		if m == nil {
			continue
		}
		connections++
		if string(m[1]) != "0" {
			decoded = append(decoded, string(line))
		}
	}
	return connections, decoded, nil
}
