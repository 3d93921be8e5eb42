package agent

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// allocation is the content of allocation.json.
type allocation struct {
	Allocation  string `json:"allocation"`
	Application string `json:"application"`
	Deployment  string `json:"deployment"`
}

// readAllocation reads what the controller left for this job, and removes the token: when Python starts it is in the
// agent's memory alone.
func readAllocation(dir string) (allocation, link.Identity, error) {
	var a allocation
	data, err := os.ReadFile(filepath.Join(dir, "allocation.json"))
	if err != nil {
		return a, link.Identity{}, fmt.Errorf("read allocation: %w", err)
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, link.Identity{}, fmt.Errorf("read allocation: %s: %w", filepath.Join(dir, "allocation.json"), err)
	}
	token, err := takeToken(filepath.Join(dir, "token"))
	if err != nil {
		return a, link.Identity{}, fmt.Errorf("take join token: %w", err)
	}
	key, err := newKey()
	if err != nil {
		return a, link.Identity{}, err
	}
	return a, link.Identity{Allocation: a.Allocation, Token: token, Key: key}, nil
}

func takeToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(data)), os.Remove(path)
}

// newKey makes the secret by which this agent is known from its first dial on.
func newKey() (string, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make the agent's key: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}
