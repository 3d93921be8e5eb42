package hypha

import (
	"context"
	"fmt"
	"time"
)

// TokenOptions say what a generated token may do; zero fields take the server's default.
type TokenOptions struct {
	// Workspace is our own by default.
	Workspace string
	// Permission is read, read_write or admin.
	Permission string
	// ClientID makes the token usable only with this client id.
	ClientID string
	// ExpiresIn is an hour by default.
	ExpiresIn time.Duration
	// Scopes are further words of the token's scope.
	Scopes []string
}

// GenerateToken asks the manager for a token; it needs admin permission on the workspace.
func (c *Client) GenerateToken(ctx context.Context, o TokenOptions) (string, error) {
	config := map[string]any{}
	for key, value := range map[string]string{"workspace": o.Workspace, "permission": o.Permission, "client_id": o.ClientID} {
		if value != "" {
			config[key] = value
		}
	}
	if o.ExpiresIn > 0 {
		config["expires_in"] = int64(o.ExpiresIn.Seconds())
	}
	if len(o.Scopes) > 0 {
		config["extra_scopes"] = o.Scopes
	}
	value, err := c.Call(ctx, Manager, "generate_token", config)
	if err != nil {
		return "", fmt.Errorf("hypha: generate a token: %w", err)
	}
	token, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("hypha: generate a token: the manager answered with %T", value)
	}
	return token, nil
}
