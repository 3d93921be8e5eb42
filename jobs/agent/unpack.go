package agent

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/agent/runtime"
)

const runtimePackage = "bioengine_runtime"

// unpack writes the runtime's files into a new private folder under dir ("": the system's temporary folder), which the
// caller removes.
func unpack(dir string) (string, error) {
	scratch, err := os.MkdirTemp(dir, "bioengine-agent-")
	if err == nil {
		scratch, err = filepath.Abs(scratch)
	}
	if err != nil {
		return "", fmt.Errorf("make the agent's folder: %w", err)
	}
	if err := os.CopyFS(scratch, runtime.FS); err != nil {
		os.RemoveAll(scratch)
		return "", fmt.Errorf("unpack the runtime: %w", err)
	}
	return scratch, nil
}
