package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func newAppLogs(s *settings, f *clientFlags) *cobra.Command {
	var tail, previous int
	c := &cobra.Command{
		Use:     "logs ID",
		Short:   "Show what an application's replicas wrote",
		Example: "  bioengine-hpc app logs hello\n  bioengine-hpc app logs hello --tail -1 --previous 3",
		Args:    exactly(1, "name one application; 'bioengine-hpc app status' lists them"),
		RunE: func(c *cobra.Command, args []string) error {
			w, err := f.dial(c.Context(), s)
			if err != nil {
				return err
			}
			defer w.close()
			all, err := statuses(c.Context(), w, args, tail, previous)
			if err != nil {
				return err
			}
			status, err := readStatus(all[args[0]])
			if err != nil {
				return err
			}
			if status.Status == "NOT_RUNNING" {
				return &cliError{Code: exitFailure, Sentence: status.Message, Hint: "'bioengine-hpc app status' lists what runs"}
			}
			if s.asJSON {
				logs := map[string]any{}
				for name, d := range status.Deployments {
					logs[name] = d.Logs
				}
				return printJSON(c.OutOrStdout(), logs)
			}
			printLogs(c.OutOrStdout(), status)
			return nil
		},
	}
	c.Flags().IntVar(&tail, "tail", 100, "lines of each stream; -1 for all")
	c.Flags().IntVar(&previous, "previous", 0, "replicas that have ended to show too; -1 for all")
	return c
}

// printLogs shows every stream that has lines, in a fixed order.
func printLogs(out io.Writer, status appStatus) {
	for _, name := range slices.Sorted(maps.Keys(status.Deployments)) {
		logs := status.Deployments[name].Logs
		for _, replica := range slices.Sorted(maps.Keys(logs)) {
			printStream(out, name+" "+replica+" stdout", logs[replica].Stdout)
			printStream(out, name+" "+replica+" stderr", logs[replica].Stderr)
		}
	}
}

func printStream(out io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(out, "==", title)
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
}
