package manifest

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"
)

// The readers of single values return a complaint, "must be …", or "".

const (
	// maxSlurmTime is far above any site's limit and far below what overflows.
	maxSlurmTime = 366 * 24 * time.Hour
	// minSlurmMemory catches a bare number that was meant in Slurm's megabytes.
	minSlurmMemory = 1 << 20
	maxSlurmNice   = 2147483645 // Slurm's own bound
	maxSlurmCPUs   = 65533      // 16 bits in Slurm, the top values reserved
	maxSlurmGPUs   = 1024
)

const wantTime = `must be a time of at least one minute such as "4h", "90m", "30" (minutes), "4:00:00" or "1-12:00:00"`

var (
	slurmClock = regexp.MustCompile(`^(?:(\d{1,4})-)?(\d{1,7})(?::(\d{1,7}))?(?::(\d{1,7}))?$`)
	unitTime   = regexp.MustCompile(`^(?:(\d{1,4})d)?\s*(?:(\d{1,5})h)?\s*(?:(\d{1,7})m(?:in)?)?\s*(?:(\d{1,9})s)?$`)
	byteSize   = regexp.MustCompile(`^(\d{1,18}(?:\.\d{1,6})?)\s*(?:([KMGTkmgt])(?:i?[Bb])?|[Bb])?$`)
	typedGPUs  = regexp.MustCompile(`^(?:([A-Za-z][A-Za-z0-9_.-]*):)?(\d{1,4}(?:\.\d{1,6})?)$`)
)

// slurmTime reads Slurm's own forms, a bare number being minutes, and "1d4h30m".
func slurmTime(n *yaml.Node) (time.Duration, string) {
	if n.Kind != yaml.ScalarNode {
		return 0, wantTime
	}
	text := strings.TrimSpace(n.Value)
	d, ok := parseClock(text)
	if !ok {
		d, ok = parseUnits(text)
	}
	if !ok || d < time.Minute || d > maxSlurmTime {
		return 0, wantTime
	}
	return d, ""
}

// parseClock reads minutes, minutes:seconds, hours:minutes:seconds, days-hours,
// days-hours:minutes and days-hours:minutes:seconds.
func parseClock(text string) (time.Duration, bool) {
	found := slurmClock.FindStringSubmatch(text)
	if found == nil {
		return 0, false
	}
	a, b, c := number(found[2]), number(found[3]), number(found[4])
	switch {
	case found[1] != "":
		return clock(number(found[1])*24+a, b, c), true
	case found[4] != "":
		return clock(a, b, c), true
	}
	return clock(0, a, b), true
}

func parseUnits(text string) (time.Duration, bool) {
	found := unitTime.FindStringSubmatch(text)
	if found == nil || text == "" {
		return 0, false
	}
	return clock(number(found[1])*24+number(found[2]), number(found[3]), number(found[4])), true
}

func clock(hours, minutes, seconds int64) time.Duration {
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
}

// number reads digits that an expression has bounded; "" is 0.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

const wantMemory = `must be an amount of memory such as "8G", "512MiB" or a number of bytes (at least 1 MiB)`

// slurmMemory reads a number with a unit, of 1024 each as in Slurm; without one
// it is bytes.
func slurmMemory(n *yaml.Node) (int64, string) {
	found := byteSize.FindStringSubmatch(strings.TrimSpace(n.Value))
	if n.Kind != yaml.ScalarNode || found == nil {
		return 0, wantMemory
	}
	amount, err := strconv.ParseFloat(found[1], 64)
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[strings.ToUpper(found[2])]
	bytes := math.Ceil(math.Ldexp(amount, shift))
	if err != nil || bytes < minSlurmMemory || bytes > 1<<60 {
		return 0, wantMemory
	}
	return int64(bytes), ""
}

func slurmCPUs(n *yaml.Node) (int, string) {
	var cpus int
	if n.ShortTag() != "!!int" || n.Decode(&cpus) != nil || cpus < 1 || cpus > maxSlurmCPUs {
		return 0, "must be a whole number of 1 or more"
	}
	return cpus, ""
}

// slurmGPUs reads 2, 0.5 or "a100:2".
func slurmGPUs(n *yaml.Node) (*float64, string, string) {
	const want = `must be a number of GPUs such as 1, 0.5 or "a100:2"`
	found := typedGPUs.FindStringSubmatch(strings.TrimSpace(n.Value))
	if n.Kind != yaml.ScalarNode || found == nil {
		return nil, "", want
	}
	gpus, err := strconv.ParseFloat(found[2], 64)
	if err != nil || gpus > maxSlurmGPUs {
		return nil, "", want
	}
	return &gpus, found[1], ""
}

// slurmBool also accepts YAML 1.1's yes and no.
func slurmBool(n *yaml.Node) (*bool, string) {
	var b bool
	if n.Kind != yaml.ScalarNode || n.Decode(&b) != nil {
		return nil, "must be true or false"
	}
	return &b, ""
}

func slurmNice(n *yaml.Node) (*int, string) {
	var nice int
	if n.ShortTag() != "!!int" || n.Decode(&nice) != nil || max(nice, -nice) > maxSlurmNice {
		return nil, "must be a whole number"
	}
	return &nice, ""
}

// slurmOptions reads a list of options; which of them a site allows is not
// decided here.
func slurmOptions(n *yaml.Node) ([]string, string) {
	const want = `must be a list of sbatch options, each a text that begins with "-"`
	if n.Kind != yaml.SequenceNode {
		return nil, want
	}
	options := []string{}
	for _, item := range n.Content {
		item = resolveAlias(item)
		if item.ShortTag() != "!!str" || !strings.HasPrefix(item.Value, "-") || strings.ContainsFunc(item.Value, unicode.IsControl) {
			return nil, want
		}
		options = append(options, item.Value)
	}
	return options, ""
}

// slurmName reads a name that becomes one argument: no blanks (paths of images
// may have them), nothing that reads as an option.
func slurmName(key string, n *yaml.Node) (string, string) {
	bad := func(r rune) bool { return unicode.IsControl(r) || key != "image" && unicode.IsSpace(r) }
	plain := n.ShortTag() == "!!str" || n.ShortTag() == "!!int" // an account may be digits
	if n.Kind != yaml.ScalarNode || !plain || n.Value == "" || strings.HasPrefix(n.Value, "-") || strings.ContainsFunc(n.Value, bad) || len(n.Value) > 4096 {
		return "", "must be a text without blanks that does not begin with '-'"
	}
	return n.Value, ""
}
