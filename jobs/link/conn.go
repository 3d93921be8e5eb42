package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
	"go.uber.org/zap"
)

const (
	maxStreams   = 256              // streams that one end has open at a time; more of them wait
	maxIncoming  = 2 * maxStreams   // streams of the other end; more are closed at once. Twice, since both ends count apart
	streamQueue  = 64               // streams the other end may have opened and this one not looked at yet
	closeTimeout = time.Minute      // a stream closed here and not there is reset after it
	greetTimeout = 30 * time.Second // for Hello and Welcome, and for the header of each stream
)

// Timing is how a link finds out that the other end is gone. Zero values mean PingPeriod and LostAfter.
type Timing struct{ Ping, Lost time.Duration }

func (t Timing) withDefaults() Timing {
	if t.Ping == 0 {
		t.Ping = PingPeriod
	}
	if t.Lost == 0 {
		t.Lost = LostAfter
	}
	return t
}

// Conn is one link. Greet or Hello and Welcome come first, then Run; the sending methods work from the greeting on and
// from any goroutine. Its owner calls Close in the end, always.
type Conn struct {
	allocation string
	remote     string
	ws         *wsConn
	mux        *yamux.Session
	buffers    *bufferPool
	log        *zap.Logger

	greeting *yamux.Stream // between Hello and Welcome
	slots    chan struct{}

	beats sync.WaitGroup
	beat  *time.Timer

	mu    sync.Mutex               // guards the following fields
	lanes map[string]*lane         // by Header.lane
	order map[string]chan struct{} // by Header.lane: closed when the last stream of the lane has been read
	cause error                    // why this end closed the link
}

// newConn starts the link over an upgraded WebSocket: from here on its owner must Close it.
func newConn(ws *websocket.Conn, dialled bool, allocation string, t Timing, buffers *bufferPool, log *zap.Logger) (*Conn, error) {
	c := &Conn{
		allocation: allocation,
		remote:     ws.RemoteAddr().String(),
		ws:         newWSConn(ws, t.withDefaults()),
		buffers:    buffers,
		log:        log,
		slots:      make(chan struct{}, maxStreams),
		lanes:      map[string]*lane{},
		order:      map[string]chan struct{}{},
	}
	open := yamux.Server
	if dialled {
		open = yamux.Client
	}
	var err error
	if c.mux, err = open(c.ws, muxConfig(c.ws.timing, log)); err != nil {
		ws.Close()
		return nil, fmt.Errorf("start link: %w", err)
	}
	c.beats.Add(1)
	c.beat = time.AfterFunc(c.ws.timing.Ping, c.sendBeat)
	return c, nil
}

func muxConfig(t Timing, log *zap.Logger) *yamux.Config {
	config := yamux.DefaultConfig()
	config.AcceptBacklog = streamQueue
	config.EnableKeepAlive = false             // the WebSocket's pongs do that, beneath all queues
	config.ConnectionWriteTimeout = 2 * t.Lost // a stuck connection is found by its silence
	config.StreamOpenTimeout = 0
	config.StreamCloseTimeout = closeTimeout
	config.LogOutput = nil
	config.Logger = muxLog{log.Sugar()}
	return config
}

// sendBeat runs every ping period on a timer's goroutine: a goroutine of its own would cost each idle link its stack.
func (c *Conn) sendBeat() {
	if err := c.ws.beat(); err != nil {
		c.fail(fmt.Errorf("link lost: %w", err))
		c.beats.Done()
		return
	}
	c.closeQuietLanes()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil || c.mux.IsClosed() {
		c.beats.Done()
		return
	}
	c.beat.Reset(c.ws.timing.Ping)
}

// closeQuietLanes ends the streams that carried nothing since the last beat, so that an idle link has none: each costs
// the controller a goroutine, 6 KB in all. The next message opens a new one.
func (c *Conn) closeQuietLanes() {
	c.mu.Lock()
	lanes := slices.Collect(maps.Values(c.lanes))
	c.mu.Unlock()
	for _, l := range lanes {
		l.closeIfQuiet()
	}
}

// Allocation is the UUID that the agent has shown.
func (c *Conn) Allocation() string { return c.allocation }

// Remote is the other end's address.
func (c *Conn) Remote() string { return c.remote }

// Done is closed when the link has ended.
func (c *Conn) Done() <-chan struct{} { return c.mux.CloseChan() }

// Err says why the link ended: ErrClosed or what Close was given by this side, *ClosedError by the other side, else a
// loss. It is nil while the link lives.
func (c *Conn) Err() error {
	if !c.mux.IsClosed() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	if err := c.ws.reason(); err != nil {
		return err
	}
	return errors.New("link lost")
}

// Close ends the link and tells the other end why; it may be called more than once. What was sent before is delivered
// if the network still does.
func (c *Conn) Close(reason string) {
	c.end(fmt.Errorf("%w: %s", ErrClosed, reason), reason)
	c.beats.Wait()
}

// fail ends the link because of err; nil and the end of a stream are none.
func (c *Conn) fail(err error) {
	if err != nil && !errors.Is(err, io.EOF) {
		c.end(err, err.Error())
	}
}

func (c *Conn) end(cause error, reason string) {
	c.mu.Lock()
	first := c.cause == nil && !c.mux.IsClosed()
	if first {
		c.cause = cause
	}
	stopped := c.beat.Stop()
	c.mu.Unlock()
	if stopped {
		c.beats.Done()
	}
	if first {
		c.ws.goodbye(reason)
	}
	c.mux.Close()
}

// within gives a stream the life of ctx: when ctx ends, its blocked reads and writes return yamux.ErrTimeout. The
// returned function takes that back.
func within(ctx context.Context, s *yamux.Stream) (release func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.SetDeadline(time.Unix(1, 0))
		close(ended)
	})
	return func() {
		if !stop() {
			<-ended
			s.SetDeadline(time.Time{})
		}
	}
}

// muxLog sends yamux's lines to the debug level: the end of a link is reported once, by Err.
type muxLog struct{ log *zap.SugaredLogger }

func (l muxLog) Print(v ...any)                 { l.log.Debug(v...) }
func (l muxLog) Printf(format string, v ...any) { l.log.Debugf(format, v...) }
func (l muxLog) Println(v ...any)               { l.log.Debugln(v...) }
