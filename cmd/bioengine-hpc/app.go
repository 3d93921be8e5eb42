package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

func newApp(s *settings) *cobra.Command {
	f := &clientFlags{}
	c := &cobra.Command{
		Use:   "app",
		Short: "Upload, run, watch and stop applications",
		Long: `Upload, run, watch and stop applications through a worker.

The token of the user comes from --token-file or HYPHA_TOKEN, the worker from
--worker or BIOENGINE_WORKER.`,
	}
	group(c)
	f.add(c)
	c.AddCommand(newAppSave(s, f), newAppRun(s, f), newAppStatus(s, f), newAppLogs(s, f), newAppStop(s, f))
	return c
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
