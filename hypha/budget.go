package hypha

import "time"

// budget is a token bucket that keeps one connection below the server's limit of binary messages (replica link 7). It
// belongs to the writer of the connection; the server's own bucket is new with each connection too.
type budget struct {
	rate, burst float64 // messages per second; messages
	tokens      float64
	last        time.Time
}

func newBudget(rate float64, burst int, now time.Time) *budget {
	return &budget{rate: rate, burst: float64(burst), tokens: float64(burst), last: now}
}

// take takes one token and returns 0, or returns how long to wait before trying again.
func (b *budget) take(now time.Time) time.Duration {
	b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	b.last = now
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return time.Duration((1-b.tokens)/b.rate*float64(time.Second)) + time.Microsecond
}
