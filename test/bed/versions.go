package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// PrintVersions asks the running systems and the clients for their versions and prints one per line. A nil cluster or server
// is left out, with all that belongs to it; anything else that gives no version is an error.
func PrintVersions(ctx context.Context, w io.Writer, c *Cluster, h *Hypha) error {
	type question struct {
		what string
		ask  func() (string, error)
	}
	var questions []question
	if c != nil {
		inImage := []string{"apptainer", "--silent", "exec", c.Image(), "python3", "-c", pythonVersions}
		questions = append(questions,
			question{"slurmctld", func() (string, error) { return c.slurmVersion(ctx) }},
			question{"Apptainer", func() (string, error) { return c.Output(ctx, "c1", "alice", "apptainer", "--version") }},
			question{"image", func() (string, error) { return c.Output(ctx, "c1", "alice", inImage...) }})
	}
	if h != nil {
		questions = append(questions, question{"Hypha", func() (string, error) { return hyphaVersion(ctx, h.URL) }})
	}
	questions = append(questions,
		question{"Python client", func() (string, error) { return clientPython(ctx) }},
		question{"Node client", func() (string, error) { return clientNode(ctx) }})
	var errs []error
	for _, q := range questions {
		version, err := q.ask()
		version = strings.TrimSpace(version)
		if err == nil && version == "" {
			err = errors.New("it tells none")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("version of %s: %w", q.what, err))
			continue
		}
		fmt.Fprintf(w, "%-14s %s\n", q.what, version)
	}
	return errors.Join(errs...)
}

const (
	pythonVersions = `import importlib.metadata as m, platform; print("hypha-rpc", m.version("hypha-rpc"), "on Python", platform.python_version())`
	nodeVersions   = `"hypha-rpc " + require("./node_modules/hypha-rpc/package.json").version + " on Node " + process.versions.node`
)

func clientPython(ctx context.Context) (string, error) {
	python, err := Python(ctx)
	if err != nil {
		return "", err
	}
	said, err := exec.CommandContext(ctx, python, "-c", pythonVersions).Output()
	return string(said), err
}

func clientNode(ctx context.Context) (string, error) {
	dir, err := NodeDir(ctx)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "node", "-p", nodeVersions)
	cmd.Dir = filepath.Clean(dir)
	said, err := cmd.Output()
	return string(said), err
}

// slurmVersion is the running controller's: it sends it with its configuration.
func (c *Cluster) slurmVersion(ctx context.Context) (string, error) {
	text, err := c.Output(ctx, "login", "alice", "scontrol", "show", "config")
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^SLURM_VERSION\s*= (\S+)`).FindStringSubmatch(text)
	if found == nil {
		return "", errors.New("slurmctld's configuration holds none")
	}
	return found[1], nil
}

// hyphaVersion asks a running server: it tells its version to every client that connects.
func hyphaVersion(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, strings.Replace(url, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		return "", fmt.Errorf("connect to the Hypha server for its version: %w", err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(readyWithin))
	hello := map[string]any{"client_id": "version-" + randomHex(4), "workspace": nil, "token": nil, "reconnection_token": nil}
	if err := conn.WriteJSON(hello); err != nil {
		return "", fmt.Errorf("ask the Hypha server for its version: %w", err)
	}
	var info struct {
		Version string `json:"hypha_version"`
		Message string
	}
	if err := conn.ReadJSON(&info); err != nil {
		return "", fmt.Errorf("ask the Hypha server for its version: %w", err)
	}
	if info.Version == "" {
		return "", fmt.Errorf("the Hypha server tells no version: %q", info.Message)
	}
	return info.Version, nil
}
