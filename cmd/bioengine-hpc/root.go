package main

import (
	"fmt"
	"os"
	"strings"

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
	group(root)
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

// group makes c a command that only holds others: alone it shows its help, and
// a word that is none of its commands is a mistake with suggestions.
func group(c *cobra.Command) {
	c.DisableFlagsInUseLine = true
	c.SuggestionsMinimumDistance = 2
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		hint := "see '" + c.CommandPath() + " --help'"
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean '" + c.CommandPath() + " " + strings.Join(near, "' or '") + "'?"
		}
		return &usageError{Sentence: fmt.Sprintf("there is no command %q", c.CommandPath()+" "+args[0]), Hint: hint}
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
