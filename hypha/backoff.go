package hypha

import (
	"math/rand/v2"
	"time"
)

const (
	backoffMax   = 60 * time.Second
	backoffFloor = 100 * time.Millisecond
	// backoffSlow is the least wait after refusals that a quick repetition cannot cure, and would even harm: a refused
	// newcomer with a taken client id wrecks the live client (hypha-protocol 1.3).
	backoffSlow = 10 * time.Second
	// healthyAfter is how long a connection must live to count as more than a flap.
	healthyAfter = 5 * time.Second
)

// backoff says how long to wait before the next try to connect (hypha-protocol 1.6).
type backoff struct {
	failures int // tries since the last healthy connection, with what flaps seeded
	flaps    int // connections in a row that died young
	first    time.Duration
	random   func() float64
}

func newBackoff(first time.Duration) *backoff { return &backoff{first: first, random: rand.Float64} }

// lost is told how long the connection lived. After a healthy one, or the first flap, the next try is made at once; each
// further flap in a row starts one step higher.
func (b *backoff) lost(lived time.Duration) time.Duration {
	b.failures = 0
	if lived >= healthyAfter {
		b.flaps = 0
		return 0
	}
	b.flaps++
	if b.flaps == 1 {
		return 0
	}
	b.failures = b.flaps - 2
	return max(b.next(), b.first)
}

// failed is told why a try did not succeed.
func (b *backoff) failed(kind Kind) time.Duration {
	wait := b.next()
	switch kind {
	case KindCredentials, KindDuplicate, KindDenied:
		return max(wait, backoffSlow)
	}
	return wait
}

// next is min(1 s * 2^n, 60 s) ± 10 %, and counts.
func (b *backoff) next() time.Duration {
	wait := min(b.first<<min(b.failures, 16), backoffMax)
	b.failures++
	jitter := 0.9 + 0.2*b.random()
	return max(time.Duration(float64(wait)*jitter), backoffFloor)
}
