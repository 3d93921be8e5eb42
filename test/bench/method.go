package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// method is the part of the page that says how it was measured.
const method = `
## How it was measured

- **Plain** is the class of [test/bench/app](../test/bench/app) served by a Python program with hypha-rpc alone. Both services are
  registered with the same Hypha server and called by the same client with the same token. Turns alternate A B B A, so that what
  else the machine does meets both. Plain runs with the Python that the application has: this machine's, or the application image's
  on the login host, since compute hosts do not reach the server. The application runs in a job: caller, server, controller, link
  over TLS, agent, Python, and back.
- Server and controller had their limits of messages raised (` + "`HYPHA_WS_MSG_RATE_LIMIT`, `hypha.message_rate`" + `), or those would
  have been measured: as they come, a server cuts a client above 200 messages per second, and the controller keeps each
  application's connection below that by waiting.
- **Calls/s**: all programs share the cores of one machine, and the application's calls pass two more of them than plain ones,
  controller and agent.
- **Arrays** are random float32. Plain clients compress what they send; the controller does not.
- **Memory** is the resident set at the end of the time of watching (a minute); MB and KB are powers of 1000. **CPU** is the
  process's own clock over that time; the programs of Slurm that it ran are told apart (1/100 s is their unit).
- **The idle controller** serves no application and asks Slurm every 30 s, as it comes.
- **Agents**: as many real jobs as agents are queued in the real Slurm, held, so that they run nothing; the controller submitted
  them for one ` + "`run_application`" + `. Each job's agent is a link of its own, dialled from the benchmark's process with the job's own join
  token; it says what a real agent says when its replica is ready, logs a line, and stays connected. All were counted as RUNNING by the
  controller and none was lost. The memory per agent is the difference to the idle controller.
- **Start** is from the start of the program to its log line that the server has confirmed the service.
- **run_application → RUNNING** is what a client sees that asks for the status every 20 ms: artifact from S3, manifest and decorators read,
  job submitted, agent joined, class constructed and checked, service registered. One run before was not counted.

Run it again with ` + "`make bench`" + ` (root on Debian, about six minutes). All samples are then in bin/benchmarks.json.
`

// micro is a package with Go benchmarks.
type micro struct {
	folder string
	names  []string
}

var benchmark = regexp.MustCompile(`(?m)^func (Benchmark\w+)\(`)

// findMicro looks for Go benchmarks in the checkout.
func findMicro() (found []micro, err error) {
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range benchmark.FindAllSubmatch(code, -1) {
			folder := filepath.Dir(path)
			if len(found) == 0 || found[len(found)-1].folder != folder {
				found = append(found, micro{folder: folder})
			}
			last := &found[len(found)-1]
			last.names = append(last.names, strings.TrimPrefix(string(match[1]), "Benchmark"))
		}
		return nil
	})
	return found, err
}

// microBenchmarks lists the benchmarks of single rooms, which are not run here.
func (r *Result) microBenchmarks() string {
	var p strings.Builder
	p.WriteString("\n## Single rooms\n\nBenchmarks of one package each, to be run by hand:\n\n| command | measures |\n|---|---|\n")
	for _, m := range r.micro {
		names := strings.ReplaceAll(strings.Join(m.names, ", "), "_", " ")
		fmt.Fprintf(&p, "| `go test -run '^$' -bench . ./%s` | %s |\n", m.folder, names)
	}
	return p.String()
}
