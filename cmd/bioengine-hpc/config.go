package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

// config is the one configuration file. Flags win over environment variables,
// those over the file, and the file over the defaults.
type config struct {
	Hypha  hyphaConfig  `yaml:"hypha"`
	Worker workerConfig `yaml:"worker"`
	Jobs   jobsConfig   `yaml:"jobs"`
	Slurm  slurmConfig  `yaml:"slurm"`
	Log    logConfig    `yaml:"log"`
}

type hyphaConfig struct {
	ServerURL    string `yaml:"server_url"`
	Workspace    string `yaml:"workspace"`
	ClientID     string `yaml:"client_id"`
	TokenFile    string `yaml:"token_file"`
	MessageRate  int    `yaml:"message_rate"`  // per second and connection; the server cuts those above its own limit
	MessageBurst int    `yaml:"message_burst"` // on top of the rate, after a pause
}

type workerConfig struct {
	Name         string   `yaml:"name"`
	AdminUsers   []string `yaml:"admin_users"`
	WorkspaceDir string   `yaml:"workspace_dir"` // holds apps/ (HOME of applications)
	StateDir     string   `yaml:"state_dir"`     // shared with the compute hosts
}

type jobsConfig struct {
	Backend     string            `yaml:"backend"` // sbatch or local
	Image       string            `yaml:"image"`
	Images      []string          `yaml:"images"`
	Apptainer   string            `yaml:"apptainer"`
	Agent       string            `yaml:"agent"`
	Listen      string            `yaml:"listen"`
	Addresses   []string          `yaml:"addresses"`
	Partition   string            `yaml:"partition"`
	Account     string            `yaml:"account"`
	QoS         string            `yaml:"qos"`
	Constraint  string            `yaml:"constraint"`
	TimeLimit   duration          `yaml:"time_limit"`
	MaxTime     duration          `yaml:"max_time"`
	Memory      byteSize          `yaml:"memory"`
	GPUTypes    map[string]string `yaml:"gpu_types"`
	Options     []string          `yaml:"options"`
	MaxReplicas int               `yaml:"max_replicas"`
	LocalGPUs   int               `yaml:"local_gpus"`
	Times       timesConfig       `yaml:"times"`
}

type timesConfig struct {
	PollBusy    duration `yaml:"poll_busy"`
	PollQuiet   duration `yaml:"poll_quiet"`
	LostGrace   duration `yaml:"lost_grace"`
	JoinLimit   duration `yaml:"join_limit"`
	CancelAfter duration `yaml:"cancel_after"`
	FailedRetry duration `yaml:"failed_retry"`
}

type slurmConfig struct {
	BinDir string `yaml:"bin_dir"`
}

type logConfig struct {
	Level string `yaml:"level"`
	File  string `yaml:"file"`
}

// duration is written 90s, 10m, 4h.
type duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v < 0 {
		return fmt.Errorf("line %d: %q is not a duration like 90s, 10m or 4h", n.Line, n.Value)
	}
	*d = duration(v)
	return nil
}

// MarshalYAML implements yaml.Marshaler.
func (d duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// byteSize is written 512MiB, 8GiB, 8G or as bytes; all units count in 1024s.
type byteSize int64

// UnmarshalYAML implements yaml.Unmarshaler.
func (b *byteSize) UnmarshalYAML(n *yaml.Node) error {
	text := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(n.Value), "B"), "I")
	shift := 0
	if i := strings.IndexAny(text, "KMGT"); i >= 0 && i == len(text)-1 {
		shift = 10 * (1 + strings.IndexByte("KMGT", text[i]))
		text = text[:i]
	}
	var v int64
	if _, err := fmt.Sscanf(text+"\n", "%d\n", &v); err != nil || v < 0 || v > 1<<62>>shift {
		return fmt.Errorf("line %d: %q is not a size like 512MiB or 8GiB", n.Line, n.Value)
	}
	*b = byteSize(v << shift)
	return nil
}

// MarshalYAML implements yaml.Marshaler.
func (b byteSize) MarshalYAML() (any, error) { return int64(b), nil }

const maxConfigFile = 1 << 20 // bytes

func defaultConfig() config {
	home, _ := os.UserHomeDir() // without HOME, paths must be given
	return config{
		Hypha:  hyphaConfig{ServerURL: "https://hypha.aicell.io", ClientID: "bioengine-hpc", MessageRate: 190, MessageBurst: 1800},
		Worker: workerConfig{Name: "BioEngine Worker", WorkspaceDir: filepath.Join(home, ".bioengine"), StateDir: filepath.Join(home, ".bioengine", "hpc")},
		Jobs: jobsConfig{
			Backend: "sbatch", Apptainer: "apptainer", Listen: "0.0.0.0:0",
			TimeLimit: duration(jobs.DefaultTimeLimit), MaxReplicas: jobs.DefaultMaxReplicas,
			Times: timesConfig{
				PollBusy: duration(5 * time.Second), PollQuiet: duration(30 * time.Second), LostGrace: duration(time.Minute),
				JoinLimit: duration(5 * time.Minute), CancelAfter: duration(10 * time.Second), FailedRetry: duration(10 * time.Minute),
			},
		},
		Log: logConfig{Level: "info"},
	}
}

// defaultConfigPath is read when no --config is given, if it exists.
func defaultConfigPath() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "bioengine-hpc", "config.yaml")
}

// loadConfig reads path over the defaults; "" reads the default path if there
// is a file. Unknown keys are errors with their line.
func loadConfig(path string) (config, error) {
	c := defaultConfig()
	optional := path == ""
	if optional {
		path = defaultConfigPath()
	}
	f, err := os.Open(path)
	if optional && (path == "" || errors.Is(err, fs.ErrNotExist)) {
		return c, nil
	}
	if err != nil {
		return c, &usageError{Sentence: "the configuration cannot be read: " + err.Error(), Hint: "give another file with --config"}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile))
	if err != nil {
		return c, err
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, &usageError{Sentence: "the configuration is wrong: " + strings.TrimPrefix(err.Error(), "yaml: "), Place: path, Hint: "every setting is described in docs/configuration.md"}
	}
	c.expandHome()
	return c, nil
}

// expandHome resolves a leading ~/ in every path setting.
func (c *config) expandHome() {
	home, err := os.UserHomeDir()
	if err != nil {
		return
	}
	for _, p := range []*string{&c.Hypha.TokenFile, &c.Worker.WorkspaceDir, &c.Worker.StateDir, &c.Jobs.Image, &c.Jobs.Agent, &c.Jobs.Apptainer, &c.Slurm.BinDir, &c.Log.File} {
		if rest, ok := strings.CutPrefix(*p, "~/"); ok {
			*p = filepath.Join(home, rest)
		}
	}
}
