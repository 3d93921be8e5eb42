package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// appStatus is what the command line reads of a status; --json prints it all.
type appStatus struct {
	Status, Message string
	ArtifactID      string                      `json:"artifact_id"`
	StartTime       float64                     `json:"start_time"`
	ServiceIDs      []map[string]any            `json:"service_ids"`
	Deployments     map[string]deploymentStatus `json:"deployments"`
}

type deploymentStatus struct {
	Status, Message string
	ReplicaStates   map[string]int        `json:"replica_states"`
	Logs            map[string]replicaLog `json:"logs"`
}

type replicaLog struct{ Stdout, Stderr []string }

func newAppStatus(s *settings, f *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "status [ID...]",
		Short:   "Show how applications are",
		Example: "  bioengine-hpc app status\n  bioengine-hpc app status hello --json",
		RunE: func(c *cobra.Command, args []string) error {
			w, err := f.dial(c.Context(), s)
			if err != nil {
				return err
			}
			defer w.close()
			all, err := statuses(c.Context(), w, args, 0, 0)
			if err != nil {
				return err
			}
			if s.asJSON {
				return printJSON(c.OutOrStdout(), all)
			}
			return printStatuses(c.OutOrStdout(), all)
		},
	}
}

// statuses asks for the status of some applications, or of all, in the nested
// form that has one entry per application.
func statuses(ctx context.Context, w *workerClient, ids []string, tail, previous int) (map[string]any, error) {
	args := hypha.Kwargs{"logs_tail": tail, "n_previous_replica": previous}
	if len(ids) > 0 {
		args["application_ids"] = ids
	}
	v, err := w.call(ctx, "get_application_status", args)
	if err != nil {
		return nil, err
	}
	all, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the worker answered with %T", v)
	}
	if len(ids) == 1 {
		return map[string]any{ids[0]: all[ids[0]]}, nil
	}
	return all, nil
}

func statusOf(ctx context.Context, w *workerClient, id string) (appStatus, error) {
	all, err := statuses(ctx, w, []string{id}, 0, 0)
	if err != nil {
		return appStatus{}, err
	}
	return readStatus(all[id])
}

// readStatus takes what this program needs out of an answer.
func readStatus(v any) (s appStatus, err error) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the worker's answer: %w", err)
	}
	return s, nil
}

func printStatuses(out io.Writer, all map[string]any) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "APPLICATION\tSTATUS\tREPLICAS\tSINCE\tARTIFACT")
	var details []string
	for _, id := range slices.Sorted(maps.Keys(all)) {
		s, err := readStatus(all[id])
		if err != nil {
			return err
		}
		since := "-"
		if s.StartTime > 0 {
			since = time.Unix(int64(s.StartTime), 0).Format("2006-01-02 15:04")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", id, s.Status, s.replicas(), since, s.ArtifactID)
		if why := s.why(); why != "" {
			details = append(details, id+": "+why)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, d := range details {
		fmt.Fprintln(out, "\n"+d)
	}
	return nil
}

func (s appStatus) replicas() string {
	total := map[string]int{}
	for _, d := range s.Deployments {
		for state, n := range d.ReplicaStates {
			total[state] += n
		}
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(total)) {
		parts = append(parts, fmt.Sprintf("%d %s", total[state], state))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// why joins the messages of the application and its deployments, each said once:
// the application's often repeats theirs.
func (s appStatus) why() string {
	var parts []string
	if s.Message != "" {
		parts = append(parts, s.Message)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Deployments)) {
		if m := s.Deployments[name].Message; m != "" && !strings.Contains(s.Message, m) {
			parts = append(parts, name+": "+m)
		}
	}
	return strings.Join(parts, "\n")
}

// progress is one line for somebody who waits.
func (s appStatus) progress() string {
	line := s.Status + " (" + s.replicas() + ")"
	if why, _, _ := strings.Cut(s.why(), "\n"); why != "" {
		line += " " + why
	}
	return line
}
