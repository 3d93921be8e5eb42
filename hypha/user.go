package hypha

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// User is the account behind a connection, as it was when that connection was opened.
type User struct {
	ID, Email   string
	IsAnonymous bool
	Roles       []string
	// Parent is the person behind a generated token; "" otherwise.
	Parent string
	// Scope has current_workspace, workspaces {ws: r|rw|a}, client_id, extra_scopes.
	Scope map[string]any
	// ExpiresAt is Unix seconds; 0 when the server did not say.
	ExpiresAt float64
}

// Owner is who owns what this user makes: the person behind a generated token, else the user.
func (u User) Owner() string {
	if u.Parent != "" {
		return u.Parent
	}
	return u.ID
}

// ParseUser reads the packed user record of a Header. An empty one gives the zero User.
func ParseUser(raw msgpack.RawMessage) (User, error) {
	if len(raw) == 0 {
		return User{}, nil
	}
	value, err := decodePlain(raw)
	if err != nil {
		return User{}, fmt.Errorf("hypha: read user: %w", err)
	}
	fields, _ := value.(map[string]any)
	return userOf(fields), nil
}

// userOf is lenient: absent and foreign fields stay zero.
func userOf(fields map[string]any) User {
	var u User
	u.ID, _ = fields["id"].(string)
	u.Email, _ = fields["email"].(string)
	u.IsAnonymous, _ = fields["is_anonymous"].(bool)
	u.Parent, _ = fields["parent"].(string)
	u.Scope, _ = fields["scope"].(map[string]any)
	roles, _ := fields["roles"].([]any)
	for _, role := range roles {
		if name, ok := role.(string); ok {
			u.Roles = append(u.Roles, name)
		}
	}
	u.ExpiresAt = number(fields["expires_at"])
	return u
}

// number is the value of any numeric kind, else 0.
func number(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case float64:
		return v
	}
	return 0
}
