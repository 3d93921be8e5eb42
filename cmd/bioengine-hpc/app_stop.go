package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

func newAppStop(s *settings, f *clientFlags) *cobra.Command {
	var wait bool
	c := &cobra.Command{
		Use:     "stop ID",
		Short:   "Stop an application",
		Long:    "Stop an application: its open calls may finish, then its jobs end. Its files stay.",
		Example: "  bioengine-hpc app stop hello --wait",
		Args:    exactly(1, "name one application; 'bioengine-hpc app status' lists them"),
		RunE: func(c *cobra.Command, args []string) error {
			w, err := f.dial(c.Context(), s)
			if err != nil {
				return err
			}
			defer w.close()
			if _, err := w.call(c.Context(), "stop_application", hypha.Kwargs{"application_id": args[0]}); err != nil {
				return err
			}
			for wait {
				status, err := statusOf(c.Context(), w, args[0])
				if err != nil {
					return err
				}
				if status.Status == "NOT_RUNNING" {
					break
				}
				select {
				case <-time.After(300 * time.Millisecond):
				case <-c.Context().Done():
					return c.Context().Err()
				}
			}
			if s.asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"application_id": args[0], "stopped": wait})
			}
			fmt.Fprintln(c.OutOrStdout(), args[0], map[bool]string{true: "has stopped", false: "is stopping"}[wait])
			return nil
		},
	}
	c.Flags().BoolVar(&wait, "wait", false, "wait until its last job has ended")
	return c
}
