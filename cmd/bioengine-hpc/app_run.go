package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

type runFlags struct {
	id, version, kwargs, kwargsFile, appTokenFile string
	env                                           []string
	disableGPU, autoRedeploy, wait                bool
	maxOngoing                                    int
	timeout                                       time.Duration
}

func newAppRun(s *settings, f *clientFlags) *cobra.Command {
	r := &runFlags{}
	c := &cobra.Command{
		Use:   "run ARTIFACT",
		Short: "Run an application, or update a running one",
		Long: `Run the application of an artifact ("my-app", or "workspace/my-app"). With --id of a
running application this updates it; what is not given stays as it was.

Secrets: --env Class:_NAME=value sets NAME and hides its value everywhere; to keep it
off the command line, write --env Class:_NAME and it is taken from your environment.`,
		Example: `  bioengine-hpc app run hello --id hello --wait
  API_KEY=… bioengine-hpc app run hello --env Hello:_API_KEY
  bioengine-hpc app run composition --kwargs '{"Pipeline": {"label": "cells"}}'`,
		Args: exactly(1, "name one artifact, e.g. 'my-app'"),
		RunE: func(c *cobra.Command, args []string) error {
			request, err := r.request(c, args[0])
			if err != nil {
				return err
			}
			w, err := f.dial(c.Context(), s)
			if err != nil {
				return err
			}
			defer w.close()
			id, err := w.call(c.Context(), "run_application", request)
			if err != nil {
				return err
			}
			if r.wait {
				fmt.Fprintf(c.ErrOrStderr(), "%s: accepted\n", id)
				if err := waitRunning(c.Context(), w, fmt.Sprint(id), r.timeout, c.ErrOrStderr()); err != nil {
					return err
				}
			}
			if s.asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"application_id": id})
			}
			fmt.Fprintln(c.OutOrStdout(), id)
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&r.id, "id", "", "application id (default: generated)")
	flags.StringVar(&r.version, "version", "", "version of the artifact (default: newest)")
	flags.StringVar(&r.kwargs, "kwargs", "", `constructor arguments as JSON: {"Class": {"name": value}}`)
	flags.StringVar(&r.kwargsFile, "kwargs-file", "", "the same from a file")
	flags.StringArrayVar(&r.env, "env", nil, "environment variable Class:NAME=VALUE (Class may be *); _NAME is a secret")
	flags.StringVar(&r.appTokenFile, "app-token-file", "", "file with the Hypha token that the application gets as HYPHA_TOKEN")
	flags.BoolVar(&r.disableGPU, "disable-gpu", false, "run without GPUs")
	flags.BoolVar(&r.autoRedeploy, "auto-redeploy", false, "deploy again by itself after a failure")
	flags.IntVar(&r.maxOngoing, "max-ongoing-requests", 0, "calls admitted at a time (default 10)")
	flags.BoolVar(&r.wait, "wait", false, "wait until it is RUNNING, and show what happens")
	flags.DurationVar(&r.timeout, "timeout", 15*time.Minute, "limit of --wait")
	return c
}

// request is the call's keywords; what the user did not give is left out, so
// that an update inherits it.
func (r *runFlags) request(c *cobra.Command, artifact string) (hypha.Kwargs, error) {
	request := hypha.Kwargs{"artifact_id": artifact}
	for flag, set := range map[string]struct {
		key   string
		value any
	}{
		"id": {"application_id", r.id}, "version": {"version", r.version}, "disable-gpu": {"disable_gpu", r.disableGPU},
		"auto-redeploy": {"auto_redeploy", r.autoRedeploy}, "max-ongoing-requests": {"max_ongoing_requests", r.maxOngoing},
	} {
		if c.Flags().Changed(flag) {
			request[set.key] = set.value
		}
	}
	if r.kwargs != "" || r.kwargsFile != "" {
		kwargs, err := r.readKwargs()
		if err != nil {
			return nil, err
		}
		request["application_kwargs"] = kwargs
	}
	if len(r.env) > 0 {
		env, err := readEnv(r.env)
		if err != nil {
			return nil, err
		}
		request["application_env_vars"] = env
	}
	if r.appTokenFile != "" {
		token, err := readTokenFile(r.appTokenFile)
		if err != nil {
			return nil, err
		}
		request["hypha_token"] = token
	}
	return request, nil
}

func (r *runFlags) readKwargs() (map[string]any, error) {
	text, place := []byte(r.kwargs), "--kwargs"
	if r.kwargsFile != "" {
		data, err := os.ReadFile(r.kwargsFile)
		if err != nil {
			return nil, &usageError{Sentence: "the arguments cannot be read: " + err.Error(), Hint: "see 'bioengine-hpc app run --help'"}
		}
		text, place = data, r.kwargsFile
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var kwargs map[string]any
	if err := d.Decode(&kwargs); err != nil {
		return nil, &usageError{Sentence: "the arguments are not a JSON object: " + err.Error(), Place: place, Hint: `write {"Class": {"name": value}}`}
	}
	return numbers(kwargs).(map[string]any), nil
}

// numbers turns JSON numbers into integers where they are ones: Python tells
// 1 from 1.0.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64() // the decoder checked its form
		return f
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}

// readEnv reads Class:NAME=VALUE, or Class:NAME with the value of $NAME.
func readEnv(args []string) (map[string]any, error) {
	env := map[string]any{}
	for _, arg := range args {
		class, rest, ok := strings.Cut(arg, ":")
		name, value, given := strings.Cut(rest, "=")
		if !ok || class == "" || name == "" {
			return nil, &usageError{Sentence: fmt.Sprintf("%q is not Class:NAME=VALUE", arg), Place: "--env", Hint: "e.g. --env Hello:GREETING=Hi, or --env '*:DEBUG=1' for all classes"}
		}
		if !given {
			if value, ok = os.LookupEnv(strings.TrimPrefix(name, "_")); !ok {
				return nil, &usageError{Sentence: fmt.Sprintf("--env %s takes its value from your environment, where %s is not set", arg, strings.TrimPrefix(name, "_")), Hint: "export it first, or write =VALUE"}
			}
		}
		if env[class] == nil {
			env[class] = map[string]any{}
		}
		env[class].(map[string]any)[name] = value
	}
	return env, nil
}

// waitRunning shows what happens to an application until it runs or fails.
func waitRunning(ctx context.Context, w *workerClient, id string, limit time.Duration, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	shown := ""
	for {
		status, err := statusOf(ctx, w, id)
		if err != nil {
			return err
		}
		if line := status.progress(); line != shown {
			shown = line
			fmt.Fprintf(out, "%s: %s\n", id, line)
		}
		switch status.Status {
		case "RUNNING":
			return nil
		case "DEPLOY_FAILED", "NOT_RUNNING", "UNHEALTHY":
			return &cliError{Code: exitFailure, Sentence: fmt.Sprintf("%s is %s: %s", id, status.Status, status.why()), Hint: "see 'bioengine-hpc app logs --previous 3 " + id + "'"}
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return &cliError{Code: exitFailure, Sentence: fmt.Sprintf("%s is still %s after %s", id, status.Status, limit), Hint: "it goes on by itself; see 'bioengine-hpc app status " + id + "'"}
		}
	}
}
