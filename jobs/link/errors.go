package link

import (
	"errors"
	"fmt"
)

var (
	// ErrTooLarge refuses to send what exceeds a limit of the wire; the link is unharmed.
	ErrTooLarge = errors.New("too large for the link")
	// ErrClosed is the end of a link that this side closed.
	ErrClosed = errors.New("link closed")
	// ErrRefused is a stream or message that the other end did not take.
	ErrRefused = errors.New("refused by the other end")
)

// ClosedError is the end of a link that the other side closed on purpose.
type ClosedError struct{ Reason string }

func (e *ClosedError) Error() string { return "link closed by the other end: " + e.Reason }

// protocolError is a broken rule of the protocol; it ends the link.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return "link protocol broken: " + e.what }

func violation(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}
