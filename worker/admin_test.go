package worker

import (
	"slices"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

func user(fields any) hypha.Caller { return hypha.Caller{Raw: map[string]any{"user": fields}} }

func TestAdmin(t *testing.T) {
	alice := user(map[string]any{"id": "alice", "email": "alice@example.org"})
	for _, list := range [][]string{{"alice"}, {"x", "alice@example.org"}, {"*"}} {
		if who, err := checkAdmin(alice, list, "listing applications"); err != nil || who.id != "alice" {
			t.Errorf("%v refuse alice: %v", list, err)
		}
	}
	for _, c := range []struct {
		name   string
		caller hypha.Caller
		admins []string
		text   string
	}{
		{"no context", hypha.Caller{}, []string{"*"}, "Invalid context for listing applications: missing user information. "},
		{"no user", user(nil), []string{"*"}, "Invalid context for listing applications: missing user information. "},
		{"user is no mapping", user("alice"), []string{"*"}, "Invalid user information in context for listing applications: "},
		{"neither id nor email", user(map[string]any{"id": ""}), []string{"*"}, "Invalid user context for listing applications: "},
		{"no admins", alice, nil, "Access denied for listing applications: no users are authorized "},
		{"another user", alice, []string{"bob", "eve"},
			"User 'alice' (alice@example.org) is not authorized for listing applications. Authorized users: ['bob', 'eve']"},
		{"no email", user(map[string]any{"id": "alice"}), []string{"no-email"}, "User 'alice' (no-email) is not authorized"},
		{"no id", user(map[string]any{"email": "a@b"}), []string{"no id"}, "User 'no id' (a@b) is not authorized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := checkAdmin(c.caller, c.admins, "listing applications")
			if err == nil || !strings.HasPrefix(err.Error(), "PermissionError: "+c.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAdminList(t *testing.T) {
	own := hypha.User{ID: "w", Email: "w@example.org"}
	if got := adminList(own, []string{"bob", "w"}); !slices.Equal(got, []string{"w", "w@example.org", "bob"}) {
		t.Errorf("%v", got)
	}
	own.IsAnonymous = true
	if got := adminList(own, nil); !slices.Equal(got, []string{"w"}) {
		t.Errorf("every anonymous user would be an administrator: %v", got)
	}
}

func TestPolicy(t *testing.T) {
	alice := hypha.User{ID: "alice", Email: "alice@example.org"}
	perMethod := access{Methods: map[string][]string{"greet": {"bob"}, "open": {"*"}, "empty": {}, "*": {"alice"}}}
	for _, c := range []struct {
		name    string
		access  access
		user    hypha.User
		method  string
		trusted []string
		text    string // "" = admitted
	}{
		{"everybody", access{Users: []string{"*"}}, alice, "greet", nil, ""},
		{"by id", access{Users: []string{"alice"}}, alice, "greet", nil, ""},
		{"by email", access{Users: []string{"alice@example.org"}}, alice, "greet", nil, ""},
		{"another", access{Users: []string{"bob"}}, alice, "greet", nil, "User 'alice' (alice@example.org) is not authorized to access application 'app'"},
		{"admins are not let in by the list form", access{Users: []string{"bob"}}, alice, "greet", []string{"alice"}, "User 'alice' (alice@example.org) is not authorized to access application 'app'"},
		{"nobody", access{Users: []string{"*"}}, hypha.User{}, "greet", nil, "Invalid context without user information"},
		{"own method only", perMethod, alice, "greet", nil, "User 'alice' (alice@example.org) is not authorized to call 'greet' on application 'app'"},
		{"open method", perMethod, hypha.User{ID: "eve"}, "open", nil, ""},
		{"empty list falls back", perMethod, alice, "empty", nil, ""},
		{"other methods", perMethod, alice, "other", nil, ""},
		{"others elsewhere", perMethod, hypha.User{ID: "eve"}, "other", nil, "User 'eve' (no-email) is not authorized to call 'other' on application 'app'"},
		{"the deployer", perMethod, alice, "greet", []string{"alice"}, ""},
		{"a public administration is no public application", perMethod, alice, "greet", []string{"*"}, "User 'alice' (alice@example.org) is not authorized to call 'greet' on application 'app'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.access.allow("app", c.user, c.method, c.trusted)
			if (err == nil) != (c.text == "") || err != nil && err.Error() != "PermissionError: "+c.text {
				t.Errorf("%v", err)
			}
		})
	}
}
