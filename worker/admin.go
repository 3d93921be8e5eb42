package worker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

const (
	noID    = "no id"
	noEmail = "no-email"
	anyone  = "*"
)

// identity is who calls, as far as permissions care.
type identity struct{ id, email string }

func (i identity) name() string    { return orElse(i.id, noID) }
func (i identity) address() string { return orElse(i.email, noEmail) }

// admitted says whether the list names everybody, the id or the email.
func (i identity) admitted(list []string) bool {
	return slices.Contains(list, anyone) || i.id != "" && slices.Contains(list, i.id) || i.email != "" && slices.Contains(list, i.email)
}

// callerOf reads the user out of a call's context. The server writes it, but a
// malformed one must be refused with a reason, not taken for somebody.
func callerOf(c hypha.Caller, what string) (identity, error) {
	user, ok := c.Raw["user"]
	if !ok || user == nil {
		return identity{}, permissionError("Invalid context for %s: missing user information. Call the service through an authenticated Hypha connection.", what)
	}
	fields, ok := user.(map[string]any)
	if !ok {
		return identity{}, permissionError("Invalid user information in context for %s: expected a mapping with 'id' and 'email'.", what)
	}
	id, _ := fields["id"].(string)
	email, _ := fields["email"].(string)
	if id == "" && email == "" {
		return identity{}, permissionError("Invalid user context for %s: neither a user id nor an email was given.", what)
	}
	return identity{id: id, email: email}, nil
}

// checkAdmin admits the users of the admin list only (contract 1.1). what
// completes the sentence, for example "listing applications".
func checkAdmin(c hypha.Caller, admins []string, what string) (identity, error) {
	who, err := callerOf(c, what)
	if err != nil {
		return identity{}, err
	}
	if len(admins) == 0 {
		return identity{}, permissionError("Access denied for %s: no users are authorized to do this on this worker.", what)
	}
	if !who.admitted(admins) {
		return identity{}, permissionError("User '%s' (%s) is not authorized for %s. Authorized users: %s", who.name(), who.address(), what, quoteList(admins))
	}
	return who, nil
}

// adminList puts the worker's own user before the configured ones. An
// anonymous worker shares its email with every other anonymous user, so that
// its email must not open the door.
func adminList(own hypha.User, configured []string) []string {
	var list []string
	add := func(name string) {
		if name != "" && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	add(own.ID)
	if !own.IsAnonymous {
		add(own.Email)
	}
	for _, name := range configured {
		add(name)
	}
	return list
}

// quoteList prints a list of strings as Python does.
func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("'%s'", s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
