package link

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A handle stream carries one call between deployments: from the caller's agent to the controller, and on a second
// stream from there to the callee's agent.
//
//	caller: u64 size | request                   callee: u8 status | u64 size | answer
//
// Request and answer are the runtime's bytes. An end that closes early cancels the call.

// HandleStatus says what an answer holds.
type HandleStatus uint8

const (
	HandleOK      HandleStatus = 0 // the result
	HandleError   HandleStatus = 1 // the exception of the method
	HandleRefused HandleStatus = 2 // "<Class>: <message>" in UTF-8, made on the way: the method gave no answer
)

// WriteHandleRequest writes what precedes a request of size bytes.
func WriteHandleRequest(w io.Writer, size int64) error {
	_, err := w.Write(binary.BigEndian.AppendUint64(nil, uint64(size)))
	return err
}

// ReadHandleRequest returns the size of the request that follows.
func ReadHandleRequest(r io.Reader) (int64, error) {
	var prefix [8]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return 0, err
	}
	return handleSize(prefix[:])
}

// WriteHandleAnswer writes what precedes an answer of size bytes.
func WriteHandleAnswer(w io.Writer, status HandleStatus, size int64) error {
	_, err := w.Write(binary.BigEndian.AppendUint64([]byte{byte(status)}, uint64(size)))
	return err
}

// ReadHandleAnswer returns status and size of the answer that follows.
func ReadHandleAnswer(r io.Reader) (HandleStatus, int64, error) {
	var prefix [9]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return 0, 0, err
	}
	size, err := handleSize(prefix[1:])
	return HandleStatus(prefix[0]), size, err
}

// RefuseHandle answers a call that cannot be made; text is "<Class>: <message>".
func RefuseHandle(w io.Writer, text string) error {
	answer := binary.BigEndian.AppendUint64([]byte{byte(HandleRefused)}, uint64(len(text)))
	_, err := w.Write(append(answer, text...))
	return err
}

func handleSize(b []byte) (int64, error) {
	size := binary.BigEndian.Uint64(b)
	if size > MaxMessage {
		return 0, fmt.Errorf("a call of %d bytes: %w", size, ErrTooLarge)
	}
	return int64(size), nil
}
