package bed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// claims are those of a Hypha token (hypha-protocol 1.2), with the validity as a duration.
type claims struct {
	lifetime time.Duration
	email    string
	roles    []string
	current  string // workspace the client lands in
	scopes   []string
}

// TokenOption changes what Token mints.
type TokenOption func(*claims)

// Expires sets the lifetime; negative mints an expired token. The default is 24 hours.
func Expires(after time.Duration) TokenOption { return func(c *claims) { c.lifetime = after } }

// Email sets the user's email, by default <user>@example.org; "" leaves it out.
func Email(address string) TokenOption { return func(c *claims) { c.email = address } }

// Roles sets the user's roles; none by default.
func Roles(roles ...string) TokenOption { return func(c *claims) { c.roles = roles } }

// Workspace adds a permission, "r", "rw" or "a", on another workspace ("*": all).
func Workspace(workspace, permission string) TokenOption {
	return func(c *claims) { c.scopes = append(c.scopes, "ws:"+workspace+"#"+permission) }
}

// Current lets the client land in that workspace instead of the user's own. It grants nothing: add Workspace.
func Current(workspace string) TokenOption { return func(c *claims) { c.current = workspace } }

// ClientID binds the token to one client id.
func ClientID(id string) TokenOption {
	return func(c *claims) { c.scopes = append(c.scopes, "cid:"+id) }
}

// Scope adds any other scope, as it is.
func Scope(scope string) TokenOption {
	return func(c *claims) { c.scopes = append(c.scopes, scope) }
}

// Token mints a token of the server for that user, who is admin of its own workspace ws-user-<user> and lands there unless an
// option says otherwise.
func (h *Hypha) Token(user string, options ...TokenOption) (string, error) {
	own := "ws-user-" + user
	c := claims{lifetime: 24 * time.Hour, email: user + "@example.org", roles: []string{}, current: own, scopes: []string{"ws:" + own + "#a"}}
	for _, option := range options {
		option(&c)
	}
	now := time.Now()
	payload := map[string]any{
		"iss": "https://amun.ai/", "aud": "https://amun-ai.eu.auth0.com/api/v2/", "gty": "client-credentials",
		"sub": user, "iat": now.Unix(), "exp": now.Add(c.lifetime).Unix(),
		"scope":                 strings.Join(append(c.scopes, "wid:"+c.current), " "),
		"https://amun.ai/roles": c.roles,
	}
	if c.email != "" {
		payload["https://amun.ai/email"] = c.email
	}
	return signHS256([]byte(h.JWTSecret), payload)
}

// signHS256 makes a JSON web token.
func signHS256(key []byte, payload map[string]any) (string, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("encode a token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil)), nil
}
