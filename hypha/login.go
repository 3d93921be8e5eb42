package hypha

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// loginWithin is how long the server keeps a login open (hypha-protocol 1.8).
const loginWithin = 180 * time.Second

// LoginConfig says where to log in, and how the person gets to see the page.
type LoginConfig struct {
	ServerURL string
	// Workspace scopes the token; "" for the person's own.
	Workspace string
	// ExpiresIn of the token; 0 for the server's default.
	ExpiresIn time.Duration
	// Show is given the URL that the person must open.
	Show   func(url string)
	Logger *zap.Logger
}

// Login waits until a person has logged in with a browser, and returns the token. ctx or the server's limit of three minutes
// ends the waiting.
func Login(ctx context.Context, config LoginConfig) (token string, err error) {
	ctx, cancel := context.WithTimeout(ctx, loginWithin)
	defer cancel()
	c, err := Connect(ctx, Config{ServerURL: config.ServerURL, Logger: config.Logger, MethodTimeout: loginWithin})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	service, err := c.GetService(ctx, "public/hypha-login", GetServiceOptions{})
	if err != nil {
		return "", err
	}
	keywords := Kwargs{}
	if config.Workspace != "" {
		keywords["workspace"] = config.Workspace
	}
	if config.ExpiresIn > 0 {
		keywords["expires_in"] = int64(config.ExpiresIn.Seconds())
	}
	value, err := service.Call(ctx, "start", keywords)
	if err != nil {
		return "", fmt.Errorf("hypha: start the login: %w", err)
	}
	started, _ := value.(map[string]any)
	page, _ := started["login_url"].(string)
	if page == "" {
		return "", errors.New("hypha: start the login: the server named no page")
	}
	config.Show(page)
	value, err = service.Call(ctx, "check", started["key"], Kwargs{"timeout": int64(loginWithin.Seconds())})
	if err != nil {
		return "", fmt.Errorf("hypha: wait for the login: %w", err)
	}
	token, _ = value.(string)
	if token == "" {
		return "", errors.New("hypha: nobody logged in in time")
	}
	return token, nil
}
