package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// clientFlags say which worker a command of `app` speaks to, and as whom.
type clientFlags struct {
	serverURL, worker, tokenFile string
}

func (f *clientFlags) add(c *cobra.Command) {
	flags := c.PersistentFlags()
	flags.StringVar(&f.serverURL, "server-url", "", "Hypha server (HYPHA_SERVER_URL, else the configuration)")
	flags.StringVar(&f.worker, "worker", os.Getenv("BIOENGINE_WORKER"), "worker's service id, e.g. my-workspace/bioengine-worker (BIOENGINE_WORKER; default: the one of your workspace)")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with your Hypha token, mode 0600 (default: HYPHA_TOKEN)")
}

// workerClient is a connection to a worker's service.
type workerClient struct {
	client  *hypha.Client
	service *hypha.RemoteService
}

const connectLimit = 30 * time.Second

// dial connects with the user's token and finds the worker.
func (f *clientFlags) dial(ctx context.Context, s *settings) (*workerClient, error) {
	cfg, err := loadConfig(s.configPath)
	if err != nil {
		return nil, err
	}
	url := cmp.Or(f.serverURL, os.Getenv("HYPHA_SERVER_URL"), cfg.Hypha.ServerURL)
	token, err := tokenSource(cmp.Or(f.tokenFile, fallbackFile(cfg)), os.Getenv(tokenVariable))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	client, err := hypha.Connect(ctx, hypha.Config{ServerURL: url, Token: token})
	if err != nil {
		return nil, explain(err, url)
	}
	worker := cmp.Or(f.worker, client.Info().Workspace+"/bioengine-worker")
	service, err := client.GetService(ctx, worker, hypha.GetServiceOptions{})
	if err != nil {
		client.Close()
		return nil, explain(err, worker)
	}
	return &workerClient{client: client, service: service}, nil
}

// fallbackFile is the configured token file, unless HYPHA_TOKEN is set.
func fallbackFile(cfg config) string {
	if os.Getenv(tokenVariable) != "" {
		return ""
	}
	return cfg.Hypha.TokenFile
}

// call calls a method of the worker by keywords.
func (w *workerClient) call(ctx context.Context, method string, args hypha.Kwargs) (any, error) {
	v, err := w.service.Call(ctx, method, args)
	if err != nil {
		return nil, explain(err, method)
	}
	return v, nil
}

func (w *workerClient) close() { w.client.Close() }

// explain gives an error of the Hypha side its exit code and a hint.
func explain(err error, what string) error {
	var refused *hypha.ConnectError
	var remote *hypha.RemoteError
	switch {
	case errors.As(err, &refused):
		return explainConnect(refused, what)
	case errors.As(err, &remote) && remote.Class == "PermissionError":
		return &cliError{Code: exitPermission, Sentence: remote.Message, Hint: "ask the worker's administrator to add you to admin_users"}
	case errors.As(err, &remote) && strings.Contains(remote.Error(), "Multiple services"):
		return &cliError{Code: exitFailure, Sentence: remote.Message, Hint: "name one with --worker WORKSPACE/CLIENT:bioengine-worker"}
	case errors.As(err, &remote) && strings.Contains(remote.Error(), "Service not found"):
		return &cliError{Code: exitUnreachable, Sentence: "there is no service " + what, Hint: "is the controller running? Name another worker with --worker"}
	case errors.As(err, &remote):
		return &cliError{Code: exitFailure, Sentence: remote.Class + ": " + remote.Message}
	case errors.Is(err, context.DeadlineExceeded):
		return &cliError{Code: exitUnreachable, Sentence: what + " did not answer in time", Hint: "try again, or check the server with --server-url"}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func explainConnect(err *hypha.ConnectError, url string) error {
	e := &cliError{Code: exitUnreachable, Sentence: url + ": " + err.Error(), Hint: "check --server-url and the network"}
	switch err.Kind {
	case hypha.KindCredentials:
		e.Code, e.Hint = exitPermission, "get a new Hypha token"
	case hypha.KindDenied, hypha.KindBlocked:
		e.Code, e.Hint = exitPermission, "the token is not valid for this workspace"
	}
	return e
}
