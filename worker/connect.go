package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

const (
	retryFirst = time.Second
	retryLast  = 30 * time.Second
	// tokenLife is how long the token of an application's connection holds. A
	// new one is made for each connect.
	tokenLife = 30 * 24 * time.Hour
	probeLife = time.Minute
)

// connect opens the worker's own connection. What may pass (a server that is
// down, an earlier controller's connection that is not yet gone) is tried
// again until ctx ends; what will not (credentials, rights) is returned.
func (w *Worker) connect(ctx context.Context) (*hypha.Client, error) {
	config := w.cfg.Hypha
	config.Router = nil
	for wait := retryFirst; ; wait = min(2*wait, retryLast) {
		client, err := hypha.Connect(ctx, config)
		if err == nil {
			if err := w.adopt(ctx, client); err != nil {
				client.Close()
				return nil, err
			}
			return client, nil
		}
		if !passing(err) || ctx.Err() != nil {
			return nil, err
		}
		w.log.Warn("cannot connect to Hypha; trying again", zap.Duration("in", wait), zap.Error(err))
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// adopt checks that we are who we have to be (contract 6).
func (w *Worker) adopt(ctx context.Context, client *hypha.Client) error {
	info, want := client.Info(), w.cfg.Hypha
	if want.Workspace != "" && info.Workspace != want.Workspace {
		return valueError("Hypha put the worker into workspace '%s', but '%s' is configured.", info.Workspace, want.Workspace)
	}
	if info.ClientID != want.ClientID {
		return valueError("Hypha gave the worker the client id '%s', but '%s' is configured.", info.ClientID, want.ClientID)
	}
	if _, err := generateToken(ctx, client, "", probeLife); err != nil {
		var remote *hypha.RemoteError
		if errors.As(err, &remote) {
			return valueError("Provided token does not have admin permissions. (%s)", remote)
		}
		return err
	}
	w.own.Store(client)
	return nil
}

// passing says whether another try to connect may succeed.
func passing(err error) bool {
	var refused *hypha.ConnectError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Kind {
	case hypha.KindCredentials, hypha.KindDenied, hypha.KindBlocked:
		return false
	}
	return true
}

// generateToken makes a token that may offer services in our workspace, bound
// to a client id unless that is "".
func generateToken(ctx context.Context, client *hypha.Client, boundTo string, life time.Duration) (string, error) {
	options := map[string]any{
		"workspace": client.Info().Workspace, "permission": "read_write", "expires_in": int(life.Seconds()),
	}
	if boundTo != "" {
		options["client_id"] = boundTo
	}
	value, err := client.Call(ctx, hypha.Manager, "services.default.generate_token", options)
	if err != nil {
		return "", err
	}
	token, ok := value.(string)
	if !ok {
		return "", runtimeError("Hypha answered with %s instead of a token.", pythonType(value))
	}
	return token, nil
}

// pause waits for about d, so that many who wait do not return together.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
