package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	socketBuffer = 1 << 20  // of the kernel, per direction
	maxPosted    = 64 << 20 // bytes of posted frames; when Python leaves more of them unread it is taken for dead
)

// socket is our end of the pair that Python has as descriptor 3. Messages are written by whoever has one, fragment by
// fragment and in turn; small frames that must not wait for their turn on the caller's goroutine are posted.
type socket struct {
	conn    *net.UnixConn
	buffers *fragments
	turn    chan struct{} // holds a value while somebody writes
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

// send writes a message that is in memory; it blocks while Python does not read.
func (s *socket) send(kind, flags uint8, id uint32, head, data []byte) error {
	prefix := messagePrefix(int64(len(data)), head)
	flags |= flagFirst
	for {
		n := min(len(data), fragmentSize)
		if n == len(data) {
			flags |= flagLast
		}
		if err := s.write(appendFrame(nil, kind, flags, id, prefix, n), data[:n]); err != nil {
			return err
		}
		if data = data[n:]; len(data) == 0 {
			return nil
		}
		prefix, flags = nil, 0
	}
}

// sendFrom writes a message of size bytes from r. begun: a part has been written; when r fails then, Python is told
// that the rest will not come.
func (s *socket) sendFrom(kind, flags uint8, id uint32, head []byte, r io.Reader, size int64) (begun bool, err error) {
	prefix := messagePrefix(size, head)
	flags |= flagFirst
	buffer := s.buffers.get()
	defer s.buffers.put(buffer)
	for {
		n := min(size, fragmentSize)
		if _, err := io.ReadFull(r, buffer[:n]); err != nil {
			if begun {
				s.post(appendMessage(nil, kindAbort, 0, id, []byte{kind}, []byte("ReplicaLost: the rest was lost: "+err.Error())))
			}
			return begun, err
		}
		if n == size {
			flags |= flagLast
		}
		if err := s.write(appendFrame(nil, kind, flags, id, prefix, int(n)), buffer[:n]); err != nil {
			return begun, err
		}
		if size -= n; size == 0 {
			return true, nil
		}
		begun, prefix, flags = true, nil, 0
	}
}

// write writes one frame, after those of others that came first.
func (s *socket) write(header, data []byte) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	parts := net.Buffers{header, data}
	_, err := parts.WriteTo(s.conn)
	return err
}

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
		if closed || s.write(frames, nil) != nil {
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
