package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketBuffer = 1 << 20               // of the kernel, per direction
	lastChance   = 10 * time.Millisecond // for a frame whose link has ended
	maxPosted    = 64 << 20              // bytes of posted frames; when Python leaves more of them unread it is taken for dead
)

// socket is our end of the pair that Python has as descriptor 3. Messages are written by whoever has one, fragment by
// fragment and in turn; small frames that must not wait for their turn on the caller's goroutine are posted.
type socket struct {
	conn    *net.UnixConn
	buffers *fragments
	turn    chan struct{} // holds a value while somebody writes
	rest    []byte        // end of a frame that its writer has left; belongs to who has the turn
	ids     [kindAbort + 1]atomic.Uint32

	mu     sync.Mutex // guards the following fields
	posted []byte
	wake   chan struct{} // capacity 1: posted is not empty
	closed bool
}

// newSocket makes the pair; the file is the child's end.
func newSocket(buffers *fragments) (*socket, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "agent"), os.NewFile(uintptr(fds[1]), "python")
	defer ours.Close() // FileConn has a copy
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("use socket pair: %w", err)
	}
	// The sender's buffer counts on both ends. Larger than the system allows means: as large as it allows.
	_ = unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, socketBuffer)
	s := &socket{conn: conn.(*net.UnixConn), buffers: buffers, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	_ = s.conn.SetWriteBuffer(socketBuffer)
	return s, theirs, nil
}

// newID returns an id for a message of ours.
func (s *socket) newID(kind uint8) uint32 { return s.ids[kind].Add(1) }

// errLeft is the end of a write whose link has ended.
var errLeft = errors.New("the link ended while Python was not reading")

// send writes a message that is in memory; it blocks while Python does not read, until done is closed (nil: never).
func (s *socket) send(done <-chan struct{}, kind, flags uint8, id uint32, head, data []byte) error {
	_, err := s.sendFrom(done, kind, flags, id, head, &whole{data}, int64(len(data)))
	return err
}

// sendFrom writes a message of size bytes from r. begun: a part has been written. When r fails then, or done is closed,
// Python is told that the rest will not come.
func (s *socket) sendFrom(done <-chan struct{}, kind, flags uint8, id uint32, head []byte, r io.Reader, size int64) (begun bool, err error) {
	prefix := messagePrefix(size, head)
	flags |= flagFirst
	next, release := s.reading(r)
	defer release()
	for {
		n := min(size, fragmentSize)
		if n == size {
			flags |= flagLast
		}
		data, err := next(int(n))
		if err == nil {
			err = s.write(done, appendFrame(nil, kind, flags, id, prefix, int(n)), data)
		}
		if err != nil {
			if begun {
				s.post(appendMessage(nil, kindAbort, 0, id, []byte{kind}, []byte("ReplicaLost: the rest was lost: "+err.Error())))
			}
			return begun, err
		}
		if size -= n; size == 0 {
			return true, nil
		}
		begun, prefix, flags = true, nil, 0
	}
}

// whole is a message in memory.
type whole struct{ rest []byte }

func (w *whole) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// reading returns how to get the next n bytes of r, without a copy of what is in memory.
func (s *socket) reading(r io.Reader) (next func(n int) ([]byte, error), release func()) {
	if w, ok := r.(*whole); ok {
		return func(n int) (data []byte, err error) {
			data, w.rest = w.rest[:n], w.rest[n:]
			return data, nil
		}, func() {}
	}
	buffer := s.buffers.get()
	return func(n int) ([]byte, error) {
		_, err := io.ReadFull(r, buffer[:n])
		return buffer[:n], err
	}, func() { s.buffers.put(buffer) }
}

// write writes one frame, after those of others that came first. When done is closed meanwhile it returns errLeft; the
// end of a frame that it had begun is kept for the next writer.
func (s *socket) write(done <-chan struct{}, header, data []byte) error {
	if err := s.take(done); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	if len(s.rest) > 0 {
		rest, err := s.writeAll(done, s.rest)
		if s.rest = bytes.Join(rest, nil); err != nil {
			return err
		}
	}
	rest, err := s.writeAll(done, header, data)
	if left := bytes.Join(rest, nil); err == errLeft && len(left) < len(header)+len(data) {
		s.rest = left
		s.awake()
	}
	return err
}

// take waits for the turn; done counts only when that is not free.
func (s *socket) take(done <-chan struct{}) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-done:
		return errLeft
	}
}

// writeAll returns what could not be written before done was closed.
func (s *socket) writeAll(done <-chan struct{}, parts ...[]byte) ([][]byte, error) {
	rest := net.Buffers(parts)
	select {
	case <-done: // what the link has left behind is written if Python takes it at once
		_ = s.conn.SetWriteDeadline(time.Now().Add(lastChance))
	default:
	}
	for {
		_, err := rest.WriteTo(s.conn)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		_ = s.conn.SetWriteDeadline(time.Time{}) // fails with the socket, which the next write tells
		select {
		case <-done:
			return rest, errLeft
		default: // meant for another writer
		}
	}
}

// interrupt lets writers whose done is closed return.
func (s *socket) interrupt() { _ = s.conn.SetWriteDeadline(time.Unix(1, 0)) }

// post queues whole frames and returns at once; they keep their order among themselves. When Python has left
// maxPosted bytes unread the socket is closed, which ends it.
func (s *socket) post(frames []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if len(s.posted)+len(frames) > maxPosted {
		s.shut()
		return
	}
	s.posted = append(s.posted, frames...)
	s.awake()
}

func (s *socket) awake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// writePosted writes what is posted until the socket is closed.
func (s *socket) writePosted() {
	for range s.wake {
		s.mu.Lock()
		frames, closed := s.posted, s.closed
		s.posted = nil
		s.mu.Unlock()
		if closed || s.write(nil, frames, nil) != nil {
			return
		}
	}
}

// close ends all reads and writes; posted frames that are not written yet are lost.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut()
}

// shut closes the socket; the caller holds mu.
func (s *socket) shut() {
	s.closed = true
	s.conn.Close()
	s.awake() // writePosted finds the socket closed
}

// expected says that err is the ordinary end of a socket.
func expected(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}
