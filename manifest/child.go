package manifest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// ChildCommand is the hidden subcommand whose body is RunChild.
const ChildCommand = "read-decorators"

// maxHeaderBytes bounds the request's first line; 64 class names fit easily.
const maxHeaderBytes = 64 << 10

// childRequest is the first line on the child's standard input; the file's
// bytes follow up to the end.
type childRequest struct {
	File     string   `json:"file"`
	Artifact string   `json:"artifact,omitempty"`
	Classes  []string `json:"classes"`

	MaxBytes    int           `json:"max_bytes"`
	Time        time.Duration `json:"time"`
	MemoryBytes uint64        `json:"memory_bytes"`
}

// childReply is what the child prints.
type childReply struct {
	Deployments map[string]Deployment `json:"deployments,omitempty"` // by class
	Problems    Errors                `json:"problems,omitempty"`
}

// RunChild is the body of the hidden subcommand "read-decorators": it limits its
// own process, reads one file from in, and writes what the file says to out. It
// returns the exit status: 0 also for a file with mistakes, which are the
// answer. The caller exits afterwards: that gives the memory back.
func RunChild(in io.Reader, out io.Writer) int {
	if err := runChild(in, out); err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	return 0
}

func runChild(in io.Reader, out io.Writer) error {
	reader := bufio.NewReaderSize(in, maxHeaderBytes)
	header, err := reader.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	var request childRequest
	if err := json.Unmarshal(header, &request); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	if err := confine(Limits{FileBytes: request.MaxBytes, Time: request.Time, MemoryBytes: request.MemoryBytes}); err != nil {
		return err
	}
	// One byte more than allowed is enough to see that there are too many.
	text, err := io.ReadAll(io.LimitReader(reader, int64(request.MaxBytes)+1))
	if err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	if err := json.NewEncoder(out).Encode(describeFile(request, text)); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
