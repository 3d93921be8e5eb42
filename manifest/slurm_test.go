package manifest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func parseSlurm(t *testing.T, block string) (*Slurm, error) {
	t.Helper()
	text := "slurm:\n  " + strings.ReplaceAll(block, "\n", "\n  ") + "\n" + manifestWith()
	app, err := ParseManifest([]byte(text), "m.yaml", Rules{})
	if err != nil {
		return nil, err
	}
	return app.Slurm, nil
}

func TestSlurm_time(t *testing.T) {
	good := map[string]time.Duration{
		"4h": 4 * time.Hour, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1d 4h": 28 * time.Hour, "90min": 90 * time.Minute,
		"3600s": time.Hour, "30": 30 * time.Minute, "30:30": 30*time.Minute + 30*time.Second, "4:00:00": 4 * time.Hour, "\"04:00:00\"": 4 * time.Hour,
		"1-12": 36 * time.Hour, "1-12:30": 36*time.Hour + 30*time.Minute, "1-12:00:30": 36*time.Hour + 30*time.Second,
	}
	for text, want := range good {
		s, err := parseSlurm(t, "time: "+text)
		if err != nil || s.Time != want {
			t.Errorf("%s: got %v, %v, want %s", text, s, err, want)
		}
	}
	for _, text := range []string{"0", "59s", "-5", "4 hours", "1:2:3:4", "1.5h", "UNLIMITED", "400d", "[4h]", "true", "9999999", "\"\"", "\"4h\\n\"x"} {
		if s, err := parseSlurm(t, "time: "+text); err == nil {
			t.Errorf("%s: accepted as %s", text, s.Time)
		}
	}
}

func TestSlurm_memory(t *testing.T) {
	good := map[string]int64{
		"8G": 8 << 30, "8GB": 8 << 30, "8GiB": 8 << 30, "8g": 8 << 30, "512MiB": 512 << 20, "1.5G": 3 << 29, "2 G": 2 << 30, "4096K": 4 << 20,
		"1T": 1 << 40, "1048576": 1 << 20, "1048577B": 1<<20 + 1, "\"8589934592\"": 8 << 30,
	}
	for text, want := range good {
		s, err := parseSlurm(t, "memory: "+text)
		if err != nil || s.MemoryBytes != want {
			t.Errorf("%s: got %v, %v, want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"0", "8000", "-1G", "8X", "G", "lots", "[8G]", "1e30", "99999999T", "8G8G"} {
		if s, err := parseSlurm(t, "memory: "+text); err == nil {
			t.Errorf("%s: accepted as %d", text, s.MemoryBytes)
		}
	}
}

func TestSlurm_refuses_with_text_and_place(t *testing.T) {
	cases := []struct{ name, block, message, place string }{
		{"unknown_key", "partition: gpu\npartitions: x", "Unknown key 'partitions' in the manifest's 'slurm' block.", "m.yaml:3"},
		{"unknown_nested_key", "deployments:\n  Main:\n    gpu: 1", "Unknown key 'gpu' in the manifest's 'slurm.deployments.Main' block.", "m.yaml:4"},
		{"nested_deployments", "deployments:\n  Main:\n    deployments: {}", "Unknown key 'deployments'", "m.yaml:4"},
		{"unknown_class", "deployments:\n  Other: {cpus: 1}", "'Other' in the manifest's 'slurm.deployments' block is not the class of a deployment.", "m.yaml:3"},
		{"deployments_list", "deployments: [Main]", "Field 'slurm.deployments' of the manifest must be a mapping of class names, but is a list.", "m.yaml:2"},
		{"deployment_text", "deployments: {Main: x}", "Field 'slurm.deployments.Main' of the manifest must be a mapping, but is the text 'x'.", "m.yaml:2"},
		{"duplicate", "cpus: 1\ncpus: 2", "key 'cpus' is already set at line 2", "m.yaml:3"},
		{"cpus_zero", "cpus: 0", "Field 'slurm.cpus' of the manifest must be a whole number of 1 or more, but is the number 0.", "m.yaml:2"},
		{"cpus_float", "cpus: 1.5", "Field 'slurm.cpus'", "m.yaml:2"},
		{"cpus_text", "cpus: \"2\"", "but is the text '2'", "m.yaml:2"},
		{"cpus_bool", "cpus: true", "but is the truth value true", "m.yaml:2"},
		{"gpus_negative", "gpus: -1", "Field 'slurm.gpus' of the manifest must be a number of GPUs such as 1, 0.5 or \"a100:2\"", "m.yaml:2"},
		{"gpus_nan", "gpus: .nan", "Field 'slurm.gpus'", "m.yaml:2"},
		{"gpus_injection", "gpus: \"a100:2,licence\"", "Field 'slurm.gpus'", "m.yaml:2"},
		{"exclusive", "exclusive: user", "Field 'slurm.exclusive' of the manifest must be true or false", "m.yaml:2"},
		{"nice", "nice: 9999999999", "Field 'slurm.nice' of the manifest must be a whole number", "m.yaml:2"},
		{"partition_list", "partition: [gpu]", "Field 'slurm.partition' of the manifest must be a text without blanks that does not begin with '-', but is a list.", "m.yaml:2"},
		{"partition_option", "partition: --uid=0", "Field 'slurm.partition'", "m.yaml:2"},
		{"account_newline", "account: \"a\\n#SBATCH --x\"", "Field 'slurm.account'", "m.yaml:2"},
		{"qos_blank", "qos: a b", "Field 'slurm.qos'", "m.yaml:2"},
		{"image_control", "image: \"a\\0b\"", "Field 'slurm.image'", "m.yaml:2"},
		{"options_text", "options: --x", "Field 'slurm.options' of the manifest must be a list of sbatch options", "m.yaml:2"},
		{"options_number", "options: [3]", "Field 'slurm.options'", "m.yaml:2"},
		{"options_word", "options: [hello]", "Field 'slurm.options'", "m.yaml:2"},
		{"options_newline", "options: [\"--a\\n--b\"]", "Field 'slurm.options'", "m.yaml:2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseSlurm(t, c.block)
			wantProblem(t, err, c.message, c.place)
		})
	}
}

func TestSlurm_For_lays_the_deployments_part_over_the_block(t *testing.T) {
	s, err := parseSlurm(t, `partition: gpu
qos: normal
account: 12345
constraint: "a100&ib"
reservation: r
image: /images/my image.sif
time: 4h
cpus: 2
memory: 8G
gpus: 1
exclusive: true
nice: -5
options: ["--a"]
deployments:
  Main: {partition: cpu, time: 1h, cpus: 1, memory: 1G, gpus: 0, exclusive: no, nice: 3, options: [], qos: , image: other.sif}`)
	if err != nil {
		t.Fatal(err)
	}
	block, main := s.For("Other"), s.For("Main")
	if got := fmt.Sprint(block.Partition, block.QoS, block.Account, block.Constraint, block.Reservation, block.Image, block.Time, block.CPUs, block.MemoryBytes>>30, *block.GPUs, *block.Exclusive, *block.Nice, block.Options); got != "gpunormal12345a100&ibr/images/my image.sif4h0m0s 2 8 1 true -5 [--a]" {
		t.Errorf("block: %s", got)
	}
	if got := fmt.Sprint(main.Partition, main.QoS, main.Account, main.Image, main.Time, main.CPUs, main.MemoryBytes>>30, *main.GPUs, *main.Exclusive, *main.Nice, main.Options); got != "cpunormal12345other.sif1h0m0s 1 1 0 false 3 []" {
		t.Errorf("main: %s", got)
	}
	if main.Places["cpus"].Line != 16 || main.Places["account"].Line != 4 || main.Deployments != nil {
		t.Errorf("places %v", main.Places)
	}
	if s.Partition != "gpu" || s.Places["cpus"].Line != 9 {
		t.Errorf("the block itself was changed: %+v", s)
	}
	var none *Slurm
	if got := none.For("Main"); !reflect.DeepEqual(got, Slurm{}) {
		t.Errorf("no block gives %+v", got)
	}
}
