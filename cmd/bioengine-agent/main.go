// Command bioengine-agent runs inside an allocation: it joins the controller and runs the application's Python. Job
// scripts start it; nobody needs to by hand. See jobs/agent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/agent"
)

// version is set by the linker.
var version = "development"

const exitUsage = 2

func main() {
	// The job's CPUs are the application's. One carries its bytes, and handing each message from one to another costs
	// a third of the agent's time (make bench).
	runtime.GOMAXPROCS(1)
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	// First of all: nothing secret has been read yet.
	if err := agent.Protect(); err != nil {
		fmt.Fprintln(os.Stderr, "bioengine-agent:", err)
		return agent.ExitFailed
	}
	config, err := parse(args, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errVersion):
		fmt.Println("bioengine-agent", version)
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "bioengine-agent:", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err = agent.Run(ctx, config)
	if err != nil {
		config.Log.Error("the job has failed", zap.Error(err))
	}
	return agent.ExitCode(err)
}

var errVersion = errors.New("version asked for")

// parse reads the command line. Nothing secret may stand in it.
func parse(args []string, out io.Writer) (agent.Config, error) {
	config := agent.Config{Version: version, Log: newLog()}
	flags := flag.NewFlagSet("bioengine-agent", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&config.AllocationDir, "allocation", "", "`folder` with allocation.json and the join token")
	flags.StringVar(&config.EndpointDir, "endpoint", "", "`folder` with endpoint.json")
	flags.StringVar(&config.Python, "python", "", "`path` of the Python interpreter, 3.11 or newer")
	flags.StringVar(&config.WorkDir, "work", "", "`folder` for the runtime's files (default: the system's temporary folder)")
	flags.DurationVar(&config.Orphan, "orphan", 0, "end the job after this `time` without a controller (default 30m)")
	asked := flags.Bool("version", false, "print the version")
	if err := flags.Parse(args); err != nil {
		return config, err
	}
	switch {
	case *asked:
		return config, errVersion
	case flags.NArg() > 0:
		return config, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for name, value := range map[string]string{
		"allocation": config.AllocationDir, "endpoint": config.EndpointDir, "python": config.Python,
	} {
		if value == "" {
			return config, fmt.Errorf("--%s is missing; the job script of the controller gives it", name)
		}
	}
	return config, nil
}

// newLog writes to stderr, which is the job's output file.
func newLog() *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(os.Stderr), zap.InfoLevel)
	return zap.New(core).Named("agent")
}
