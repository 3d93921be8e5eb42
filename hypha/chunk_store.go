package hypha

import (
	"sync"
	"time"
)

const (
	// maxChunkIndex bounds the chunks of one message.
	maxChunkIndex = 65536
	// routedBeat is the least time between two heartbeats passed to the Router for one buffer.
	routedBeat = time.Second
)

// chunkStore holds messages that arrive in chunks (replica link 6), and accounts for those handed out until they are
// released. All is bounded by Limits: what does not fit is refused with an error.
type chunkStore struct {
	limits Limits

	mu       sync.Mutex // guards the following fields and the buffers
	byKey    map[chunkKey]*chunkBuffer
	bySender map[string]int
	memory   int64 // bytes of buffers and messages in memory
	disk     int64 // and in files
	closed   bool
}

// chunkKey keeps senders out of each other's buffers.
type chunkKey struct{ sender, key string }

// chunkBuffer is one message being built.
type chunkBuffer struct {
	pieces  map[int64]piece
	size    int64 // bytes accounted for, in memory or in the file
	spool   *spool
	touched time.Time
	beat    time.Time // last heartbeat passed to the Router
}

// piece is one chunk: bytes in memory, or a place in the spool.
type piece struct {
	data   []byte
	offset int64
	length int64
}

func newChunkStore(limits Limits) *chunkStore {
	return &chunkStore{limits: limits, byKey: map[chunkKey]*chunkBuffer{}, bySender: map[string]int{}}
}

// apply makes one call of message_cache; process returns the whole message.
func (s *chunkStore) apply(call, sender string, a chunkArgs, now time.Time) (*chunkMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := chunkKey{sender, a.key}
	b := s.byKey[key]
	if call == "create" {
		return nil, s.create(key, b, a.overwrite, now)
	}
	if b == nil {
		return nil, Errorf("KeyError", "Message with key %s does not exists.", a.key)
	}
	b.touched = now
	switch call {
	case "append":
		a.index = int64(len(b.pieces))
		return nil, s.set(b, a)
	case "set":
		return nil, s.set(b, a)
	case "remove":
		s.drop(key, b)
		return nil, nil
	}
	return s.process(key, b)
}

func (s *chunkStore) create(key chunkKey, old *chunkBuffer, overwrite bool, now time.Time) error {
	if old != nil && !overwrite {
		return Errorf("ValueError", "Message with the same key (%s) already exists in the cache store, "+
			"please use overwrite=True or remove it first.", key.key)
	}
	if old != nil {
		s.drop(key, old)
	}
	if s.closed || s.bySender[key.sender] >= s.limits.BuffersPerSender {
		return Errorf("ValueError", "%d chunked messages of this sender are open already", s.limits.BuffersPerSender)
	}
	s.byKey[key] = &chunkBuffer{pieces: map[int64]piece{}, touched: now}
	s.bySender[key.sender]++
	return nil
}

// set stores one chunk. A chunk that is set again counts twice when it lies in a file, so nobody can fill the disk so.
func (s *chunkStore) set(b *chunkBuffer, a chunkArgs) error {
	n := int64(len(a.data))
	if a.index < 0 || a.index >= maxChunkIndex {
		return Errorf("ValueError", "chunk index %d is not below %d", a.index, maxChunkIndex)
	}
	if b.size+n > s.limits.MaxMessageBytes {
		return Errorf("ValueError", "the message is larger than %d bytes", s.limits.MaxMessageBytes)
	}
	if b.spool == nil && (b.size+n > s.limits.SpoolAboveBytes || s.memory+n > s.limits.MaxMemoryBytes) {
		if err := s.toFile(b); err != nil {
			return err
		}
	}
	if b.spool == nil {
		old := b.pieces[a.index].length
		b.pieces[a.index] = piece{data: append([]byte(nil), a.data...), length: n}
		b.size += n - old
		s.memory += n - old
		return nil
	}
	if s.disk+n > s.limits.MaxDiskBytes {
		return Errorf("ValueError", "too many large messages are being received; try again later")
	}
	offset, err := b.spool.append(a.data)
	if err != nil {
		return Errorf("OSError", "cannot keep the message: %s", err)
	}
	b.pieces[a.index] = piece{offset: offset, length: n}
	b.size += n
	s.disk += n
	return nil
}

// toFile moves a buffer from memory to a file.
func (s *chunkStore) toFile(b *chunkBuffer) error {
	if s.disk+b.size > s.limits.MaxDiskBytes {
		return Errorf("ValueError", "too many large messages are being received; try again later")
	}
	file, err := newSpool(s.limits.SpoolDir)
	if err != nil {
		return Errorf("OSError", "cannot keep the message: %s", err)
	}
	for index, one := range b.pieces {
		offset, err := file.append(one.data)
		if err != nil {
			file.close()
			return Errorf("OSError", "cannot keep the message: %s", err)
		}
		one.data, one.offset = nil, offset
		b.pieces[index] = one
	}
	b.spool = file
	s.memory -= b.size
	s.disk += b.size
	return nil
}

// process takes the buffer out; its bytes stay accounted for until the message is released.
func (s *chunkStore) process(key chunkKey, b *chunkBuffer) (*chunkMessage, error) {
	pieces := make([]piece, len(b.pieces))
	for i := range pieces {
		one, ok := b.pieces[int64(i)]
		if !ok {
			s.drop(key, b)
			return nil, Errorf("ValueError", "chunk %d of %d is missing", i, len(b.pieces))
		}
		pieces[i] = one
	}
	s.forget(key)
	size, spooled := b.size, b.spool != nil
	return newChunkMessage(pieces, b.spool, func() { s.account(-size, spooled) }), nil
}

func (s *chunkStore) account(n int64, spooled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spooled {
		s.disk += n
	} else {
		s.memory += n
	}
}

func (s *chunkStore) forget(key chunkKey) {
	delete(s.byKey, key)
	if s.bySender[key.sender]--; s.bySender[key.sender] <= 0 {
		delete(s.bySender, key.sender)
	}
}

// drop frees a buffer.
func (s *chunkStore) drop(key chunkKey, b *chunkBuffer) {
	s.forget(key)
	if b.spool != nil {
		b.spool.close()
		s.disk -= b.size
	} else {
		s.memory -= b.size
	}
}

func (s *chunkStore) dropWhere(which func(chunkKey, *chunkBuffer) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, b := range s.byKey {
		if which(key, b) {
			s.drop(key, b)
		}
	}
}

// dropSender frees the buffers of a peer that left.
func (s *chunkStore) dropSender(sender string) {
	s.dropWhere(func(key chunkKey, _ *chunkBuffer) bool { return key.sender == sender })
}

func (s *chunkStore) dropAll() { s.dropWhere(func(chunkKey, *chunkBuffer) bool { return true }) }

// sweep frees buffers to which nothing was added for long.
func (s *chunkStore) sweep(now time.Time) {
	s.dropWhere(func(_ chunkKey, b *chunkBuffer) bool { return now.Sub(b.touched) > s.limits.BufferIdle })
}

func (s *chunkStore) close() {
	s.dropAll()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// beatDue tells whether the Router should hear of progress of a buffer now.
func (s *chunkStore) beatDue(sender, key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.byKey[chunkKey{sender, key}]
	if b == nil || now.Sub(b.beat) < routedBeat {
		return false
	}
	b.beat = now
	return true
}

func (s *chunkStore) held() (memory, disk int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory, s.disk
}
