package link

import (
	"context"
	"fmt"
	"net/http"
)

// Identity is what an agent shows when it dials. It prints without its secrets.
type Identity struct {
	Allocation string // UUID
	Token      string // single-use join token; "" once a greeting has succeeded
	Key        string // secret made by the agent; the controller stores its SHA-256 alone
}

// String names the allocation without the secrets.
func (i Identity) String() string { return "allocation " + i.Allocation }

// GoString keeps %#v from printing the secrets.
func (i Identity) GoString() string { return i.String() }

// Gate decides who may join.
type Gate interface {
	// Admit returns nil to let the agent in, or a *Refusal; any other error is answered as CodeNotReady and logged.
	// It is called from many goroutines at once, before the WebSocket upgrade, and compares secrets in constant time.
	// The same token with the same key must be admitted again (the first answer may have been lost).
	Admit(ctx context.Context, id Identity, remote string) error
}

// Codes of a Refusal.
const (
	CodeBadToken          = "bad_token"          // wrong token or key
	CodeUsedToken         = "used_token"         // the token was used with another key
	CodeSuperseded        = "superseded"         // the replica was given up: end the job
	CodeUnknownAllocation = "unknown_allocation" // end the job
	CodeNotReady          = "not_ready"          // try again later
	CodeRateLimited       = "rate_limited"       // too many failed joins from this address: try again later
	CodeBusy              = "busy"               // too many connections: try again later
)

// Refusal is the controller's answer to an agent that may not join.
type Refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error makes Refusal an error.
func (r *Refusal) Error() string {
	return fmt.Sprintf("the controller refused the agent (%s): %s", r.Code, r.Message)
}

// Final says that dialling again cannot help.
func (r *Refusal) Final() bool {
	switch r.Code {
	case CodeSuperseded, CodeUnknownAllocation, CodeBadToken, CodeUsedToken:
		return true
	}
	return false
}

// failedJoin says that the refusal may be a guess and counts against the address (see limiter).
func (r *Refusal) failedJoin() bool {
	switch r.Code {
	case CodeBadToken, CodeUsedToken, CodeUnknownAllocation:
		return true
	}
	return false
}

func (r *Refusal) status() int {
	switch r.Code {
	case CodeBadToken, CodeUsedToken:
		return http.StatusUnauthorized
	case CodeUnknownAllocation:
		return http.StatusNotFound
	case CodeSuperseded:
		return http.StatusGone
	case CodeRateLimited:
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}
