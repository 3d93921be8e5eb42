package link

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	failedBurst   = 10              // failed joins that an address has to begin with
	failedEvery   = 6 * time.Second // an address gets one back in this time
	failedRemotes = 4096            // addresses remembered; when full, the best ones are forgotten
)

// limiter counts failed joins per remote address, so that tokens and keys cannot be guessed. Successful joins cost
// nothing: many agents may share a host.
type limiter struct {
	mu      sync.Mutex // guards the following field
	remotes map[string]*rate.Limiter
}

func newLimiter() *limiter { return &limiter{remotes: map[string]*rate.Limiter{}} }

// blocked says that the address has failed too often and must wait.
func (l *limiter) blocked(remote string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	tokens, known := l.remotes[remote]
	return known && tokens.Tokens() < 1
}

// failed counts a failed join.
func (l *limiter) failed(remote string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tokens, known := l.remotes[remote]
	if !known {
		l.makeRoom()
		tokens = rate.NewLimiter(rate.Every(failedEvery), failedBurst)
		l.remotes[remote] = tokens
	}
	tokens.Allow()
}

// makeRoom forgets the addresses that have failed once at most, or else the best one.
func (l *limiter) makeRoom() {
	if len(l.remotes) < failedRemotes {
		return
	}
	best, most := "", -1.0
	for remote, tokens := range l.remotes {
		left := tokens.Tokens()
		if left > most {
			best, most = remote, left
		}
		if left >= failedBurst-1 {
			delete(l.remotes, remote)
		}
	}
	delete(l.remotes, best)
}
