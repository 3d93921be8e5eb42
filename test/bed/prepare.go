package bed

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bioengine-hpc/bioengine-hpc/test/cluster"
	"github.com/bioengine-hpc/bioengine-hpc/test/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/test/image"
)

// Part is one thing that Prepare can build.
type Part string

// The parts, and what each needs of the machine: the Hypha server a Python of 3.11 to 3.13 with venv, the Node clients node
// and npm, the cluster and the image root on Debian. The image is built with the cluster's Apptainer, which is built first.
const (
	PartHypha   Part = "hypha"
	PartNode    Part = "node"
	PartCluster Part = "cluster"
	PartImage   Part = "image"
)

// Parts is every part, in the order they are best built.
func Parts() []Part { return []Part{PartHypha, PartNode, PartCluster, PartImage} }

// Prepare builds those of the parts that the cache lacks, all of them when none is named, and says on out what it builds.
// When all is cached it takes a few milliseconds. Errors name what the machine is missing.
func Prepare(ctx context.Context, out io.Writer, parts ...Part) error {
	if len(parts) == 0 {
		parts = Parts()
	}
	for _, part := range parts {
		if _, err := prepare(ctx, out, part); err != nil {
			return err
		}
	}
	return nil
}

// prepare builds one part if it is missing and returns where it lies.
func prepare(ctx context.Context, out io.Writer, part Part) (string, error) {
	switch part {
	case PartHypha:
		return prepareVenv(ctx, out)
	case PartNode:
		return prepareNode(ctx, out)
	case PartCluster:
		return prepareRootfs(ctx, out)
	case PartImage:
		return prepareImage(ctx, out)
	}
	return "", fmt.Errorf("unknown part %q of the test bed: known are %v", part, Parts())
}

func prepareVenv(ctx context.Context, out io.Writer) (string, error) {
	base, version, err := basePython(ctx)
	if err != nil {
		return "", err
	}
	return cached(ctx, out, "hypha", "the Hypha server and the Python clients", "build-venv.sh",
		[]string{base, version}, []string{base}, hypha.Venv)
}

func prepareNode(ctx context.Context, out io.Writer) (string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return "", fmt.Errorf("the Node clients need node 20 and npm: %w", err)
	}
	return cached(ctx, out, "node", "the Node clients", "build-node.sh", nil, nil, hypha.Node)
}

func prepareRootfs(ctx context.Context, out io.Writer) (string, error) {
	if err := supported(ctx); err != nil {
		return "", err
	}
	return cached(ctx, out, "rootfs", "the file system of the cluster's hosts", "build-rootfs.sh",
		nil, nil, cluster.Rootfs)
}

func prepareImage(ctx context.Context, out io.Writer) (string, error) {
	rootfs, err := prepareRootfs(ctx, out)
	if err != nil {
		return "", err
	}
	base, _, err := basePython(ctx)
	if err != nil {
		return "", err
	}
	return cached(ctx, out, "image", "the application image", "build-image.sh",
		nil, []string{base, rootfs}, image.Files, cluster.Mirror)
}

// cached returns where the part of that name lies in the cache, after running its script with args and the target as the last
// argument if it is not there. words and trees decide the name.
func cached(ctx context.Context, out io.Writer, name, what, script string, words, args []string, trees ...fs.FS) (string, error) {
	hash, err := hashFiles(words, trees...)
	if err != nil {
		return "", err
	}
	target := filepath.Join(CacheDir(), name+"-"+hash)
	err = buildOnce(ctx, out, what, target, func(temporary string, lock *os.File) error {
		if err := installBuilders(ctx, out, script); err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "bed-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := writeFiles(dir, trees...); err != nil {
			return err
		}
		return runScript(ctx, lock, filepath.Join(dir, script), append(slices.Clone(args), temporary)...)
	})
	return target, err
}

// runScript runs a build script; its error holds the end of what the script said. When ctx ends the script's whole process
// group is terminated, so that no half of a build runs on.
func runScript(ctx context.Context, lock *os.File, script string, args ...string) error {
	cmd := exec.CommandContext(ctx, script, args...)
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(script), err, tail(said))
	}
	return nil
}

// tail is the last 30 lines of a log, for an error message.
func tail(log []byte) string {
	lines := strings.Split(string(bytes.TrimSpace(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
