package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// settings are the flags that every command understands.
type settings struct {
	configPath string
	asJSON     bool
}

func newRoot() *cobra.Command {
	s := &settings{}
	root := &cobra.Command{
		Use:   "bioengine-hpc",
		Short: "Serve BioEngine applications from a Slurm cluster",
		Long: `bioengine-hpc runs BioEngine applications as Slurm jobs and offers them as Hypha
services, without a Ray cluster.

An administrator runs the controller on a login node, as an ordinary user:
  bioengine-hpc serve --image /shared/images/bioengine.sif

A researcher uploads and runs an application through it:
  bioengine-hpc app save ./my-app
  bioengine-hpc app run my-app --wait

Before that, 'bioengine-hpc plan ./my-app' shows the jobs it would ask for.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&s.configPath, "config", os.Getenv("BIOENGINE_HPC_CONFIG"), "configuration file (default ~/.config/bioengine-hpc/config.yaml, if it exists)")
	flags.BoolVar(&s.asJSON, "json", false, "print JSON, errors included")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{Sentence: err.Error(), Hint: "see '" + c.CommandPath() + " --help'"}
	})
	root.AddCommand(newServe(s), newApp(s), newPlan(s), newVersion(s), newReadDecorators())
	return root
}

// newReadDecorators is the child process in which untrusted Python source is
// read; people do not call it.
func newReadDecorators() *cobra.Command {
	return &cobra.Command{
		Use: "read-decorators", Hidden: true, Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { os.Exit(manifest.RunChild(os.Stdin, os.Stdout)) },
	}
}

// exactly is cobra.ExactArgs with a hint.
func exactly(n int, hint string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(c, args); err != nil {
			return &usageError{Sentence: err.Error(), Hint: hint}
		}
		return nil
	}
}
