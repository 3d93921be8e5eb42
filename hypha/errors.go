package hypha

import (
	"errors"
	"fmt"
	"strings"
)

// Error is an error that a handler returns to choose what the caller reads: `<Class>: <Message>`.
// Class is the name of a Python exception (ValueError, KeyError, PermissionError, TypeError, …); Hypha's HTTP
// gateway derives the status from it (hypha-protocol 5).
type Error struct {
	Class   string
	Message string
}

// Errorf makes an Error of the given class.
func Errorf(class, format string, args ...any) *Error {
	return &Error{Class: class, Message: fmt.Sprintf(format, args...)}
}

// Error is the line the peer sees.
func (e *Error) Error() string { return e.Class + ": " + e.Message }

// RemoteError is an error that came from a peer: the answer to a call, or an error sent as a value.
type RemoteError struct {
	// Class is the exception class as far as the text tells it, else "".
	Class string
	// Message is the last line of the peer's text without the class.
	Message string
	// Trace is everything else the peer sent, usually a Python traceback; may be "".
	Trace string
}

// Error is the last line of what the peer sent.
func (e *RemoteError) Error() string {
	if e.Class == "" {
		return e.Message
	}
	return e.Class + ": " + e.Message
}

var (
	// ErrClosed is returned once Close was called or the client ended for good.
	ErrClosed = errors.New("hypha: client is closed")
	// ErrNotConnected is returned by what makes no sense later: answers to callers that the server has already
	// told that we are gone.
	ErrNotConnected = errors.New("hypha: not connected")
	// ErrConnectionLost ends calls that were open when the connection went away.
	ErrConnectionLost = errors.New("hypha: connection lost")
	// ErrPeerGone ends calls whose peer left the server.
	ErrPeerGone = errors.New("hypha: the peer has left")
	// ErrTimeout ends calls whose peer sent neither an answer nor a heartbeat for Config.MethodTimeout.
	ErrTimeout = errors.New("hypha: no answer and no heartbeat in time")
	// ErrTooLarge refuses messages above Limits.MaxMessageBytes.
	ErrTooLarge = errors.New("hypha: message too large")
)

// parseRemoteError splits a Python style error text. Async Python methods send the whole traceback as value, so the
// last non-empty line is the one that counts (hypha-protocol 3.4).
func parseRemoteError(value, trace string) *RemoteError {
	value = strings.TrimRight(value, " \t\r\n")
	last := value[strings.LastIndexByte(value, '\n')+1:]
	e := &RemoteError{Message: last, Trace: trace}
	if len(last) < len(value) {
		e.Trace = strings.TrimRight(value+"\n"+trace, "\n")
	}
	if class, message, ok := strings.Cut(last, ": "); ok && isIdentifier(class) {
		e.Class, e.Message = class, message
	}
	return e
}

// isClass tells whether err is an error of a peer of the given class.
func isClass(err error, class string) bool {
	var remote *RemoteError
	return errors.As(err, &remote) && remote.Class == class
}

func isIdentifier(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '.' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}

// errorText is what a peer reads of err. Errors without a class become a RuntimeError, since peers and the HTTP
// gateway match on the class.
func errorText(err error) string {
	var own *Error
	if errors.As(err, &own) {
		return own.Error()
	}
	var remote *RemoteError
	if errors.As(err, &remote) {
		return remote.Error()
	}
	return "RuntimeError: " + err.Error()
}
