package worker

import (
	"slices"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// access says who may call an application: one list for all methods (the
// guide's form), or a list per method (the younger form).
type access struct {
	Users   []string            `json:"users,omitempty"`
	Methods map[string][]string `json:"methods,omitempty"`
}

// shown is authorized_users as the status tells it.
func (a access) shown() any {
	if a.Methods != nil {
		return a.Methods
	}
	return a.Users
}

// allow decides about one call (contract 4). trusted are let in by the
// per-method form only: there the deploying user and the admins always are.
func (a access) allow(application string, user hypha.User, method string, trusted []string) error {
	who := identity{id: user.ID, email: user.Email}
	if who.id == "" && who.email == "" {
		return permissionError("Invalid context without user information")
	}
	if a.Methods == nil {
		if who.admitted(a.Users) {
			return nil
		}
		return permissionError("User '%s' (%s) is not authorized to access application '%s'", who.name(), who.address(), application)
	}
	list := a.Methods[method]
	if len(list) == 0 {
		list = a.Methods[anyone]
	}
	if who.admitted(list) || who.admitted(slices.DeleteFunc(slices.Clone(trusted), func(s string) bool { return s == anyone })) {
		return nil
	}
	return permissionError("User '%s' (%s) is not authorized to call '%s' on application '%s'", who.name(), who.address(), method, application)
}
