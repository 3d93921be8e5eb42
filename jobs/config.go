package jobs

import (
	"path/filepath"
	"time"
)

// Config is what the manager needs to know of its machine. Paths are
// absolute and mean the same on the login and on the compute hosts.
type Config struct {
	StateDir  string // shared between login and compute hosts, mode 0700
	AppsDir   string // the applications' HOME directories are made in it
	Agent     string // the bioengine-agent binary
	Apptainer string // the apptainer program on the compute hosts
	Python    string // inside images; default python3
	Addresses []string
	Site      Site
	Times     Times
}

// Times are the settings of design 7. Zero values take its numbers.
type Times struct {
	PollBusy, PollQuiet time.Duration // between two looks at the batch system
	LostGrace           time.Duration // before an unreachable replica is given up
	JoinLimit           time.Duration // from the job's start to the agent's first dial
	CancelAfter         time.Duration // after the drain's end
	SubmitGrace         time.Duration // before a submission that nobody saw counts as lost
	BackoffMin          time.Duration // before a failed replica is replaced, doubling
	BackoffMax          time.Duration
	FailedRetry         time.Duration // between attempts of a failed deployment
	Stable              time.Duration // running this long forgives earlier failures
}

func (c Config) withDefaults() Config {
	if c.Python == "" {
		c.Python = "python3"
	}
	c.Site = c.Site.withDefaults()
	t := &c.Times
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&t.PollBusy, 5 * time.Second}, {&t.PollQuiet, 30 * time.Second},
		{&t.LostGrace, time.Minute}, {&t.JoinLimit, 5 * time.Minute},
		{&t.CancelAfter, 10 * time.Second}, {&t.SubmitGrace, 15 * time.Second},
		{&t.BackoffMin, time.Second}, {&t.BackoffMax, 64 * time.Second},
		{&t.FailedRetry, 10 * time.Minute}, {&t.Stable, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
	return c
}

// The state directory. An allocation's container sees endpointDir (read-only)
// and its own allocationDir, nothing else of it.
func (c Config) endpointDir() string              { return filepath.Join(c.StateDir, "endpoint") }
func (c Config) keyFile() string                  { return filepath.Join(c.StateDir, "link.pem") }
func (c Config) allocationsDir() string           { return filepath.Join(c.StateDir, "allocations") }
func (c Config) allocationDir(id string) string   { return filepath.Join(c.allocationsDir(), id) }
func (c Config) logsDir() string                  { return filepath.Join(c.StateDir, "logs") }
func (c Config) logDir(application string) string { return filepath.Join(c.logsDir(), application) }

// homeDir is HOME of every replica of an application; it outlives updates
// and removal (contract 3.3).
func (c Config) homeDir(application string) string { return filepath.Join(c.AppsDir, application) }
