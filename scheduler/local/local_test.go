package local

import (
	"testing"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
	"github.com/bioengine-hpc/bioengine-hpc/scheduler/schedtest"
)

func open(t *testing.T, config Config) *Local {
	t.Helper()
	l, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuite(t *testing.T) {
	records, work := t.TempDir(), t.TempDir()
	schedtest.Run(t, schedtest.Suite{
		Open:   func(t *testing.T) scheduler.Scheduler { return open(t, Config{Dir: records, GPUs: 2}) },
		JobDir: work, TestDir: work, GPUs: true, UnknownID: "local-99999",
		TimeLimit: 4 * time.Second, WarnBefore: 3 * time.Second, Patience: 20 * time.Second,
	})
}
