// Command bioengine-hpc serves BioEngine applications from a Slurm cluster
// and speaks to such a controller from the command line. This package wires
// the rooms together and owns the configuration file and the command line; it
// decides nothing else.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "development"

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		asJSON, _ := root.PersistentFlags().GetBool("json")
		return report(os.Stderr, err, asJSON)
	}
	return 0
}
