package hypha

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// spool is a file without a name, so that nothing is left behind when the process ends.
type spool struct {
	file *os.File
	size int64
}

func newSpool(dir string) (*spool, error) {
	file, err := os.CreateTemp(dir, "hypha-message-*")
	if err != nil {
		return nil, fmt.Errorf("create a spool file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink a spool file: %w", err), file.Close())
	}
	return &spool{file: file}, nil
}

// append writes at the end and returns where.
func (s *spool) append(b []byte) (offset int64, err error) {
	offset = s.size
	if _, err := s.file.WriteAt(b, offset); err != nil {
		return 0, err
	}
	s.size += int64(len(b))
	return offset, nil
}

func (s *spool) close() { _ = s.file.Close() } // its bytes are not wanted any more

// chunkMessage is a whole message: joined in memory, or pieces of a spool file.
type chunkMessage struct {
	joined []byte // in memory, or
	reader *pieceReader
	free   func()
	once   sync.Once
	spool  *spool
}

// newChunkMessage joins pieces in order; account gives their bytes back once.
func newChunkMessage(pieces []piece, file *spool, account func()) *chunkMessage {
	m := &chunkMessage{spool: file, free: account}
	if file != nil {
		m.reader = newPieceReader(pieces, file.file)
		return m
	}
	var size int64
	for _, one := range pieces {
		size += one.length
	}
	m.joined = make([]byte, 0, size)
	for _, one := range pieces {
		m.joined = append(m.joined, one.data...)
	}
	return m
}

// maxHeaderBytes is how long `main` may be.
const maxHeaderBytes = 64 << 10

// start is enough of the message to hold `main`.
func (m *chunkMessage) start() []byte {
	if m.reader == nil {
		return m.joined
	}
	b := make([]byte, min(m.reader.size, maxHeaderBytes))
	n, err := m.reader.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return b[:n]
}

// after is the payload behind the first n bytes.
func (m *chunkMessage) after(n int64) Payload {
	if m.reader == nil {
		return Payload{Data: m.joined[n:]}
	}
	rest := m.reader.size - n
	return Payload{Reader: io.NewSectionReader(m.reader, n, rest), Size: rest}
}

func (m *chunkMessage) release() {
	m.once.Do(func() {
		if m.spool != nil {
			m.spool.close()
		}
		m.free()
	})
}

// pieceReader reads pieces of a file as one.
type pieceReader struct {
	file   io.ReaderAt
	pieces []piece
	starts []int64 // of each piece in the whole
	size   int64
}

func newPieceReader(pieces []piece, file io.ReaderAt) *pieceReader {
	r := &pieceReader{file: file}
	for _, one := range pieces {
		if last := len(r.pieces) - 1; last >= 0 && r.pieces[last].offset+r.pieces[last].length == one.offset {
			r.pieces[last].length += one.length // came in order
		} else {
			r.pieces = append(r.pieces, one)
			r.starts = append(r.starts, r.size)
		}
		r.size += one.length
	}
	return r
}

// ReadAt is an io.ReaderAt over the whole message.
func (r *pieceReader) ReadAt(b []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, errors.New("hypha: negative offset")
	}
	for i := r.find(offset); n < len(b) && i < len(r.pieces); i++ {
		within := offset + int64(n) - r.starts[i]
		part := b[n:min(int64(len(b)), int64(n)+r.pieces[i].length-within)]
		got, err := r.file.ReadAt(part, r.pieces[i].offset+within)
		n += got
		if err != nil && got < len(part) {
			return n, err
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// find is the piece that holds the offset, or the number of pieces.
func (r *pieceReader) find(offset int64) int {
	for i := range r.pieces {
		if offset < r.starts[i]+r.pieces[i].length {
			return i
		}
	}
	return len(r.pieces)
}
