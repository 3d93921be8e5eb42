package jobs

import "errors"

// RequestError says that an application asks for something it cannot have.
// Its text is for the author.
type RequestError struct {
	Deployment string // "" for the application as a whole
	Text       string
}

func (e *RequestError) Error() string {
	if e.Deployment == "" {
		return e.Text
	}
	return e.Deployment + ": " + e.Text
}

// ErrUnknown says that the manager does not run such an application.
var ErrUnknown = errors.New("no such application")

// errStopped says that the manager has ended.
var errStopped = errors.New("the controller is stopping")
