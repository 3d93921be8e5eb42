package scheduler

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func goodSpec() Spec {
	return Spec{Name: "hello-1", Comment: `bioengine-hpc 1f0c; "odd" $HOME %j \ ok`, Script: "#!/bin/bash\ntrue\n",
		WorkDir: "/home/alice", Output: "/home/alice/out.txt", CPUs: 1, TimeLimit: time.Hour, WarnBefore: time.Minute}
}

func TestSpecValidate(t *testing.T) {
	if err := goodSpec().Validate(); err != nil {
		t.Fatalf("a good spec is refused: %v", err)
	}
	for want, spoil := range map[string]func(*Spec){
		"name is empty":                  func(s *Spec) { s.Name = "" },
		"name has 129 bytes":             func(s *Spec) { s.Name = strings.Repeat("n", 129) },
		`comment "a|b"`:                  func(s *Spec) { s.Comment = "a|b" },
		`comment "a\nb"`:                 func(s *Spec) { s.Comment = "a\nb" },
		`comment "ä"`:                    func(s *Spec) { s.Comment = "ä" },
		`comment " a"`:                   func(s *Spec) { s.Comment = " a" },
		"does not start with #!/":        func(s *Spec) { s.Script = "true" },
		"#SBATCH lines":                  func(s *Spec) { s.Script += "#SBATCH --requeue\n" },
		"carriage return":                func(s *Spec) { s.Script += "\r\n" },
		"script has":                     func(s *Spec) { s.Script += strings.Repeat("#", MaxScript) },
		`working directory "home"`:       func(s *Spec) { s.WorkDir = "home" },
		`output file "/a/../b"`:          func(s *Spec) { s.Output = "/a/../b" },
		"must not contain %":             func(s *Spec) { s.Output = "/a/%j" },
		"asks for 0 CPUs":                func(s *Spec) { s.CPUs = 0 },
		"must not be negative":           func(s *Spec) { s.MemoryMiB = -1 },
		"not longer than its warning":    func(s *Spec) { s.WarnBefore = time.Hour },
		"is more than":                   func(s *Spec) { s.WarnBefore, s.TimeLimit = 20*time.Hour, 48*time.Hour },
		"no GPU asked for":               func(s *Spec) { s.GPUType = "a100" },
		"is not a name":                  func(s *Spec) { s.GPUs, s.GPUType = 1, "a:1" },
		`partition "a b"`:                func(s *Spec) { s.Partition = "a b" },
		"option --array is not allowed":  func(s *Spec) { s.Options = []string{"--array=1-9"} },
		"option --export is not allowed": func(s *Spec) { s.Options = []string{"--export=ALL"} },
		`option "-p"`:                    func(s *Spec) { s.Options = []string{"-p"} },
		`option "--a=\n"`:                func(s *Spec) { s.Options = []string{"--a=\n"} },
	} {
		s := goodSpec()
		spoil(&s)
		err := s.Validate()
		if !Is(err, Refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("want a refusal with %q, got %v", want, err)
		}
	}
}

func TestTimeLimitIsRoundedUpToMinutes(t *testing.T) {
	for limit, want := range map[time.Duration]int64{0: 0, time.Second: 1, time.Minute: 1, time.Minute + 1: 2, 4 * time.Hour: 240} {
		if got := (Spec{TimeLimit: limit}).Minutes(); got != want {
			t.Errorf("%s is %d minutes, want %d", limit, got, want)
		}
	}
}

func TestParseState(t *testing.T) {
	for text, want := range map[string]State{
		"PENDING": Pending, "running": Running, "CANCELLED by 1000": Cancelled, "CANCELLED+": Cancelled,
		" OUT_OF_MEMORY\n": OutOfMemory, "REQUEUE_HOLD": RequeueHold, "LAUNCH_FAILED": Unknown, "": Unknown, "banana": Unknown,
	} {
		if got := ParseState(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	for state, want := range map[State][2]bool{
		Pending: {false, false}, Running: {true, false}, Completing: {true, false}, Requeued: {false, false},
		NodeFail: {false, true}, Cancelled: {false, true}, Unknown: {false, false},
	} {
		if got := [2]bool{state.Active(), state.Ended()}; got != want {
			t.Errorf("%s: active, ended = %v, want %v", state, got, want)
		}
	}
}

func TestErrorIsOneLine(t *testing.T) {
	cause := errors.New("killed")
	err := &Error{Kind: Unclear, Op: "submit job a", Text: "sbatch: error: \n\x1b[1mSocket timed out\x00\n" + strings.Repeat("x", 1000), Err: cause}
	text := err.Error()
	if strings.ContainsAny(text, "\n\x1b\x00") || len(text) > maxText+100 || !strings.HasPrefix(text, "submit job a: outcome unclear: sbatch: error: [1mSocket") {
		t.Errorf("error text: %q", text)
	}
	if !errors.Is(err, cause) || !Is(err, Unclear) || Is(cause, Unclear) {
		t.Error("the cause or the kind is lost")
	}
}

func TestFits(t *testing.T) {
	parts := []Partition{
		{Name: "cpu", Default: true, Up: true, MaxTime: time.Hour, Shapes: []Shape{{CPUs: 4, MemoryMiB: 4000}, {CPUs: 2, MemoryMiB: 9000}}},
		{Name: "gpu", Up: true, Shapes: []Shape{{CPUs: 4, MemoryMiB: 4000, GPUs: 2, GPUTypes: map[string]int{"a100": 2}}}},
		{Name: "old", Shapes: []Shape{{CPUs: 4, MemoryMiB: 4000}}},
	}
	for _, c := range []struct {
		name string
		spec Spec
		want string
	}{
		{"default", Spec{CPUs: 4, TimeLimit: time.Hour}, ""},
		{"one of a list", Spec{Partition: "cpu,gpu", CPUs: 1, GPUs: 2, GPUType: "A100"}, ""},
		{"unknown", Spec{Partition: "nope", CPUs: 1}, `there is no partition "nope"`},
		{"never together", Spec{CPUs: 4, MemoryMiB: 8000}, "no node of partition cpu has 4 CPUs, 8000 MiB together (largest: 4 CPUs, 9000 MiB, 0 GPUs)"},
		{"no such GPU", Spec{Partition: "gpu", CPUs: 1, GPUs: 1, GPUType: "h100"}, "1 GPUs h100"},
		{"too long", Spec{CPUs: 1, TimeLimit: time.Hour + 1}, "partition cpu allows 1h0m0s, the job asks for 1h1m0s"},
		{"down", Spec{Partition: "old", CPUs: 1}, "does not accept jobs"},
	} {
		err := Fits(c.spec, parts)
		if c.want == "" && err != nil || c.want != "" && (!Is(err, Refused) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: want %q, got %v", c.name, c.want, err)
		}
	}
	if err := Fits(Spec{CPUs: 1}, parts[1:]); err == nil {
		t.Error("no default partition, and yet the job fits")
	}
	if err := Fits(Spec{CPUs: 100}, nil); err != nil {
		t.Errorf("nothing is known, and yet it is refused: %v", err)
	}
}

func TestHintFor(t *testing.T) {
	text := "sbatch: error: Batch job submission failed: Invalid partition name specified"
	if hint := HintFor(text); !strings.Contains(hint, "sinfo") {
		t.Errorf("hint for %q: %q", text, hint)
	}
	if hint := HintFor("something new"); hint != "" {
		t.Errorf("hint for an unknown text: %q", hint)
	}
}
