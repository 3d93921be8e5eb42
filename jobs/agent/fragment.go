package agent

import (
	"io"
	"sync"
)

// fragments is a pool of buffers of fragmentSize bytes.
type fragments struct{ pool sync.Pool }

func (p *fragments) get() []byte {
	if b, ok := p.pool.Get().(*[fragmentSize]byte); ok {
		return b[:]
	}
	return make([]byte, fragmentSize)
}

func (p *fragments) put(b []byte) { p.pool.Put((*[fragmentSize]byte)(b[:fragmentSize])) }

// inbound is the data of a message from Python, as a Reader for one goroutine. A fragment is done with when it has been
// read, and only then acknowledged, so at most window of them wait here.
type inbound struct {
	size  int64
	queue chan []byte  // closed after the last fragment, or when the child is gone
	done  func([]byte) // acknowledges a fragment and takes its buffer back; does nothing for a message of one frame
	rest  []byte       // of the fragment being read
	now   []byte       // the fragment being read
	read  int64

	mu        sync.Mutex // guards the following field
	abandoned bool
}

func newInbound(size int64, done func([]byte)) *inbound {
	return &inbound{size: size, queue: make(chan []byte, window), done: done}
}

// add takes the next fragment, on the goroutine that reads the socket; it never blocks. false: Python has sent more
// than its window.
func (m *inbound) add(data []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.abandoned {
		m.done(data)
		return true
	}
	select {
	case m.queue <- data:
		return true
	default:
		return false
	}
}

// end says that no fragment comes any more.
func (m *inbound) end() { close(m.queue) }

// Read reads the data; io.ErrUnexpectedEOF when the child ended inside the message.
func (m *inbound) Read(p []byte) (int, error) {
	for len(m.rest) == 0 {
		m.release()
		data, more := <-m.queue
		switch {
		case more:
			m.now, m.rest = data, data
		case m.read < m.size:
			return 0, io.ErrUnexpectedEOF
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	m.read += int64(n)
	if len(m.rest) == 0 {
		m.release()
	}
	return n, nil
}

// release gives the fragment that has been read back.
func (m *inbound) release() {
	if m.now != nil {
		m.done(m.now)
		m.now, m.rest = nil, nil
	}
}

// abandon is the reader's last call, also when it has read all: what still comes is acknowledged and dropped, so that
// Python can go on.
func (m *inbound) abandon() {
	m.release()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.abandoned = true
	for {
		select {
		case data, more := <-m.queue:
			if !more {
				return
			}
			m.done(data)
		default:
			return
		}
	}
}
