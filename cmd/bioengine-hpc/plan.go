package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bioengine-hpc/bioengine-hpc/jobs"
	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

func newPlan(s *settings) *cobra.Command {
	var disableGPU bool
	c := &cobra.Command{
		Use:   "plan FOLDER",
		Short: "Show the jobs that an application would ask for",
		Long: `Read the manifest and the deployment files of FOLDER, without running any of its
code, and show one job per replica: each value, where it comes from, and how it was
rounded. Nothing is submitted and no server is asked.`,
		Example: "  bioengine-hpc plan examples/composition",
		Args:    exactly(1, "give the folder that holds manifest.yaml"),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(s.configPath)
			if err != nil {
				return err
			}
			files, err := readFolder(args[0])
			if err != nil {
				return err
			}
			app, err := (manifest.Reader{}).Read(c.Context(), files, manifest.Rules{})
			if err != nil {
				return inFolder(err, args[0])
			}
			plan, err := jobs.MakePlan(planned(app, disableGPU), planSite(cfg))
			if err != nil {
				return &usageError{Sentence: err.Error(), Hint: "see docs/configuration.md for the site's rules"}
			}
			if s.asJSON {
				return printJSON(c.OutOrStdout(), plan)
			}
			return printPlan(c.OutOrStdout(), plan)
		},
	}
	c.Flags().BoolVar(&disableGPU, "disable-gpu", false, "plan without GPUs")
	return c
}

// planSite is the site's rules; without an image the plan says so instead of
// refusing.
func planSite(cfg config) jobs.Site {
	site := cfg.site()
	if site.Image == "" {
		site.Image = "(the worker's image)"
		if site.HostImages {
			site.Image = "host:(the worker's Python)"
		}
	}
	return site
}

// inFolder makes a mistake of the author a usage error with its place.
func inFolder(err error, dir string) error {
	var problem *manifest.Error
	if !errors.As(err, &problem) {
		return err
	}
	place := dir
	if problem.Place.File != "" {
		place = filepath.Join(dir, problem.Place.String())
	}
	return &usageError{Sentence: problem.Message, Place: place, Hint: problem.Hint}
}

func planned(app *manifest.Application, disableGPU bool) jobs.Application {
	out := jobs.Application{ID: app.ID, DisableGPU: disableGPU, Slurm: app.Slurm}
	for _, d := range app.Deployments {
		out.Deployments = append(out.Deployments, jobs.Deployment{Name: d.Class, File: d.File, Class: d.Class, Options: d.Options})
	}
	return out
}

func printPlan(out io.Writer, plan jobs.Plan) error {
	noun := "jobs"
	if len(plan.Allocations) == 1 {
		noun = "job"
	}
	fmt.Fprintf(out, "%s: %d %s\n", plan.Application, len(plan.Allocations), noun)
	for _, a := range plan.Allocations {
		fmt.Fprintf(out, "\n%s, replica %d\n", a.Deployment, a.Replica+1)
		t := tabwriter.NewWriter(out, 2, 4, 2, ' ', 0)
		for _, v := range a.Values {
			flag := v.Flag
			if flag == "" {
				flag = "(not set)"
			}
			row := strings.Join([]string{"  " + v.Name, flag, v.Origin, v.Note}, "\t")
			fmt.Fprintln(t, strings.TrimRight(row, "\t"))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, w := range plan.Warnings {
		fmt.Fprintln(out, "\nwarning:", w)
	}
	return nil
}
