package hypha

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// outQueue is how many frames may wait for the writer; further senders wait, which is back-pressure.
	outQueue = 64
	// replyQueue is how many small answers made on the read loop (and heartbeats) may wait; more are dropped and
	// counted, since the read loop must not wait. Their callers time out.
	replyQueue = 1024
	textQueue  = 16
)

// connection is one socket from connection_info until it is down. It has three goroutines: reader, writer, keepalive.
// Whatever fails, the socket is closed and all three end.
type connection struct {
	client *Client
	sock   *socket
	info   Info
	life   time.Duration // of the reconnection token
	opened time.Time
	log    *zap.Logger
	// readOnly: the server lets this client register nothing. Set before the connection is used.
	readOnly bool

	out     chan *outFrame
	replies chan []byte
	texts   chan string
	heard   atomic.Int64 // Unix nanoseconds of the last frame read
	told    error        // the server's last error text; belongs to the read loop

	down  chan struct{} // closed when the connection is lost
	once  sync.Once
	cause error // set before down is closed
	wait  sync.WaitGroup
}

// outFrame is a frame that waits for the writer. Whoever wins the state decides about its bytes.
type outFrame struct {
	head, body []byte
	state      atomic.Int32
	done       chan error // buffered
}

const (
	frameQueued = iota
	frameTaken
	frameAbandoned
)

func newConnection(c *Client, s *socket, frame *textFrame) *connection {
	conn := &connection{
		client: c, sock: s, info: frame.info(), opened: time.Now(),
		life: time.Duration(frame.ReconnectionTokenLifeTime * float64(time.Second)),
		log:  c.log, out: make(chan *outFrame, outQueue), replies: make(chan []byte, replyQueue),
		texts: make(chan string, textQueue), down: make(chan struct{}),
	}
	conn.heard.Store(time.Now().UnixNano())
	return conn
}

// start runs the goroutines; finish waits for them.
func (conn *connection) start() {
	conn.wait.Go(conn.readLoop)
	conn.wait.Go(conn.writeLoop)
	conn.wait.Go(conn.keepAlive)
}

func (conn *connection) finish() { conn.wait.Wait() }

// fail takes the connection down; the first cause counts.
func (conn *connection) fail(cause error) {
	conn.once.Do(func() {
		conn.cause = cause
		close(conn.down)
		conn.sock.close(errors.Is(cause, ErrClosed))
	})
}

func (conn *connection) isDown() bool {
	select {
	case <-conn.down:
		return true
	default:
		return false
	}
}

func (conn *connection) readLoop() {
	for {
		text, data, err := conn.sock.read()
		if err != nil {
			conn.fail(errors.Join(conn.told, fmt.Errorf("read: %w", err)))
			return
		}
		conn.heard.Store(time.Now().UnixNano())
		conn.client.stats.in(len(data))
		if text {
			conn.control(data)
		} else {
			conn.client.receive(conn, data)
		}
	}
}

// control takes a text frame of the server.
func (conn *connection) control(data []byte) {
	var frame textFrame
	if err := json.Unmarshal(data, &frame); err != nil {
		conn.log.Debug("unreadable control frame", zap.Error(err))
		return
	}
	switch frame.Type {
	case "reconnection_token":
		conn.client.keepToken(frame.ReconnectionToken)
	case "error":
		conn.log.Warn("hypha server reports an error", zap.String("message", frame.Message))
		conn.told = refused(frame.Message) // it closes the socket next
	}
}

// send queues a frame of two pieces and returns when it is on the wire; nothing keeps the bytes after that.
func (conn *connection) send(ctx context.Context, head, body []byte) error {
	f := &outFrame{head: head, body: body, done: make(chan error, 1)}
	select {
	case conn.out <- f:
	case <-conn.down:
		return conn.lost()
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	select {
	case err := <-f.done:
		return err
	case <-conn.down:
		err = conn.lost()
	case <-ctx.Done():
		err = ctx.Err()
	}
	if f.state.CompareAndSwap(frameQueued, frameAbandoned) {
		return err
	}
	return <-f.done
}

// reply queues a small frame without waiting.
func (conn *connection) reply(frame []byte) {
	select {
	case conn.replies <- frame:
	default:
		conn.client.stats.droppedReplies.Add(1)
	}
}

// text queues a control frame without waiting; they are few.
func (conn *connection) text(frame string) {
	select {
	case conn.texts <- frame:
	default:
	}
}

func (conn *connection) lost() error { return fmt.Errorf("%w: %w", ErrConnectionLost, conn.cause) }

func (conn *connection) writeLoop() {
	limits := conn.client.limits
	budget := newBudget(limits.MessagesPerSecond, limits.MessageBurst, time.Now())
	for {
		var err error
		select {
		case text := <-conn.texts:
			err = conn.sock.write(true, []byte(text), nil)
		case reply := <-conn.replies:
			err = conn.write(budget, reply, nil)
		case f := <-conn.out:
			err = conn.writeQueued(budget, f)
		case <-conn.down:
			return
		}
		if err != nil {
			conn.fail(fmt.Errorf("write: %w", err))
			return
		}
	}
}

func (conn *connection) writeQueued(budget *budget, f *outFrame) error {
	if err := conn.await(budget); err != nil {
		return err
	}
	if !f.state.CompareAndSwap(frameQueued, frameTaken) {
		budget.tokens++ // its sender has given up
		return nil
	}
	err := conn.put(f.head, f.body)
	f.done <- err
	return err
}

func (conn *connection) write(budget *budget, head, body []byte) error {
	if err := conn.await(budget); err != nil {
		return err
	}
	return conn.put(head, body)
}

func (conn *connection) put(head, body []byte) error {
	conn.client.stats.out(len(head) + len(body))
	return conn.sock.write(false, head, body)
}

// await waits for the budget; control frames, which cost nothing, go out meanwhile.
func (conn *connection) await(budget *budget) error {
	for {
		wait := budget.take(time.Now())
		if wait == 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case text := <-conn.texts:
			timer.Stop()
			if err := conn.sock.write(true, []byte(text), nil); err != nil {
				return err
			}
		case <-conn.down:
			timer.Stop()
			return conn.lost()
		}
	}
}
