package hypha

import (
	"errors"
	"time"
)

// timing holds the intervals that tests shorten.
type timing struct {
	ping        time.Duration // between pings; the server drops a client that is silent for 600 s
	deadAfter   time.Duration // without any frame the server is taken for dead: three pings unanswered
	refresh     time.Duration // between requests for a new reconnection token, at most
	firstCheck  time.Duration // after connecting, whether the server still lists our services
	secondCheck time.Duration
	check       time.Duration // between further ones
	sweep       time.Duration // between looks for idle buffers and callbacks
	backoff     time.Duration // after the first failed try to connect
	callbackTTL time.Duration // of functions that handlers returned, since their last use
}

var defaultTiming = timing{
	ping: 20 * time.Second, deadAfter: 65 * time.Second, refresh: 2 * time.Hour,
	firstCheck: 500 * time.Millisecond, secondCheck: 30 * time.Second, check: time.Minute,
	sweep: 10 * time.Second, backoff: time.Second, callbackTTL: 600 * time.Second,
}

var errDeadServer = errors.New("the server has not answered several pings")

// keepAlive pings, notices a dead server, and fetches reconnection tokens (hypha-protocol 1.4).
func (conn *connection) keepAlive() {
	t := conn.client.timing
	ping := time.NewTicker(t.ping)
	defer ping.Stop()
	refresh := time.NewTimer(min(2*time.Second, t.refresh))
	defer refresh.Stop()
	for {
		select {
		case <-conn.down:
			return
		case <-refresh.C:
			conn.text(`{"type":"refresh_token"}`)
			refresh.Reset(conn.refreshEvery(t.refresh))
		case <-ping.C:
			if time.Since(time.Unix(0, conn.heard.Load())) > t.deadAfter {
				conn.fail(errDeadServer)
				return
			}
			conn.text(`{"type":"ping"}`)
		}
	}
}

func (conn *connection) refreshEvery(most time.Duration) time.Duration {
	if conn.life <= 0 {
		return most
	}
	return max(min(most, conn.life*2/3), time.Second)
}
