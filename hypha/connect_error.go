package hypha

import "strings"

// Kind sorts failed connects by what can be done about them (hypha-protocol 1.6).
type Kind int

// The kinds of ConnectError.
const (
	KindNetwork     Kind = iota // no server there, or the line broke: try again
	KindCredentials             // bad or expired token: get another one
	KindDuplicate               // a live client has this id: stop it, or take another id
	KindDenied                  // the workspace does not exist or is not ours
	KindBlocked                 // user or address is blocked: do not try again
	KindBusy                    // connection limits or admission queue: try later
	KindServer                  // anything else the server said
)

var kindNames = [...]string{"network", "credentials", "duplicate client id", "denied", "blocked", "busy", "server"}

func (k Kind) String() string { return kindNames[k] }

// ConnectError says why there is no connection.
type ConnectError struct {
	Kind    Kind
	Message string // what the server said, or ""
	Err     error  // what went wrong on our side, or nil
}

func (e *ConnectError) Error() string {
	text := "hypha: connect (" + e.Kind.String() + ")"
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *ConnectError) Unwrap() error { return e.Err }

// refusals are pieces of what the server says, in the order in which they are looked for.
var refusals = []struct {
	text string
	kind Kind
}{
	{"already exists and is active", KindDuplicate},
	{"is blocked", KindBlocked},
	{"does not match the specified workspace", KindDenied},
	{"authentication error", KindCredentials},
	{"authentication payload timeout", KindNetwork},
	{"token", KindCredentials},
	{"expired", KindCredentials},
	{"unauthorized", KindCredentials},
	{"does not exist or is not accessible", KindDenied},
	{"permission", KindDenied},
	{"server busy", KindBusy},
	{"limit", KindBusy},
	{"too many", KindBusy},
}

// refused classifies by text: the server closes nearly all refusals with the same codes.
func refused(message string) *ConnectError {
	lower := strings.ToLower(message)
	for _, r := range refusals {
		if strings.Contains(lower, r.text) {
			return &ConnectError{Kind: r.kind, Message: message}
		}
	}
	return &ConnectError{Kind: KindServer, Message: message}
}
