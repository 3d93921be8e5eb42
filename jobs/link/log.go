package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Streams of a LogRecord.
const (
	Stdout = 1
	Stderr = 2
)

// LogRecord is one line of a replica's output. On the wire:
// u32 length of what follows | u8 stream | i64 unix nanoseconds | text.
type LogRecord struct {
	Stream uint8
	Time   time.Time
	Text   string // without newline, at most MaxLogLine bytes
}

const logPrefix = 1 + 8

// AppendLog appends the record's bytes; a longer text becomes several records.
func AppendLog(b []byte, r LogRecord) []byte {
	for {
		part := r.Text[:min(len(r.Text), MaxLogLine)]
		b = binary.BigEndian.AppendUint32(b, uint32(logPrefix+len(part)))
		b = append(b, r.Stream)
		b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixNano()))
		b = append(b, part...)
		r.Text = r.Text[len(part):]
		if r.Text == "" {
			return b
		}
	}
}

// WriteLog writes one record.
func WriteLog(w io.Writer, r LogRecord) error {
	_, err := w.Write(AppendLog(nil, r))
	return err
}

// ReadLog reads one record; io.EOF at the end. It needs no buffering of its own on a Stream.
func ReadLog(r io.Reader) (LogRecord, error) {
	var prefix [4 + logPrefix]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return LogRecord{}, err
	}
	size := int64(binary.BigEndian.Uint32(prefix[:])) - logPrefix
	if size < 0 || size > MaxLogLine {
		return LogRecord{}, fmt.Errorf("read log: a line of %d bytes, limit %d", size, MaxLogLine)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return LogRecord{}, unexpected(err)
	}
	nanoseconds := int64(binary.BigEndian.Uint64(prefix[5:]))
	return LogRecord{Stream: prefix[4], Time: time.Unix(0, nanoseconds), Text: string(text)}, nil
}
