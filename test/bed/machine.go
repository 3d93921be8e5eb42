package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrUnsupported is wrapped by the error of a machine that cannot hold the cluster: not root, not Debian, or without the
// right to make namespaces.
var ErrUnsupported = errors.New("the cluster cannot run on this machine")

// supported says in one sentence why this machine cannot hold the cluster, and what runs without it.
func supported(ctx context.Context) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: it needs root on Debian, and %s; `make test-unit` needs only Go, gcc and Python",
			ErrUnsupported, fmt.Sprintf(format, args...))
	}
	if uid := os.Geteuid(); uid != 0 {
		return refuse("this is user id %d", uid)
	}
	release, _ := os.ReadFile("/etc/os-release") // no such file: not Debian
	debian := regexp.MustCompile(`(?m)^ID="?debian"?$`).Match(release)
	if !debian && os.Getenv("MIRROR") == "" {
		return refuse("this is %s without MIRROR naming a Debian mirror", osName(release))
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return refuse("there is no apt-get")
	}
	probe := []string{"--mount", "--uts", "--ipc", "--pid", "--net", "--fork", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"}
	if said, err := exec.CommandContext(ctx, "unshare", probe...).CombinedOutput(); err != nil {
		return refuse("this root may not make namespaces (%s)", strings.TrimSpace(string(said)))
	}
	return nil
}

func osName(release []byte) string {
	if found := regexp.MustCompile(`(?m)^PRETTY_NAME="?([^"\n]+)`).FindSubmatch(release); found != nil {
		return string(found[1])
	}
	return "an unknown system"
}

// installBuilders installs the Debian packages a build script needs and the machine lacks.
func installBuilders(ctx context.Context, out io.Writer, script string) error {
	if script != "build-rootfs.sh" && script != "build-image.sh" {
		return nil
	}
	var missing []string
	for program, pkg := range map[string]string{"mmdebstrap": "mmdebstrap", "ip": "iproute2"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if !exists("/usr/share/keyrings/debian-archive-keyring.gpg") {
		missing = append(missing, "debian-archive-keyring")
	}
	if len(missing) == 0 {
		return nil
	}
	fmt.Fprintf(out, "bed: installing %s\n", strings.Join(missing, ", "))
	install := "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends " + strings.Join(missing, " ")
	if said, err := exec.CommandContext(ctx, "sh", "-c", install).CombinedOutput(); err != nil {
		return fmt.Errorf("install %s: %w\n%s", strings.Join(missing, ", "), err, tail(said))
	}
	return nil
}

// basePython finds a Python of 3.11 to 3.13 that can make virtual environments, Debian's own first, and says its version.
// These are the versions for which every locked package has a wheel.
func basePython(ctx context.Context) (path, version string, err error) {
	const probe = "import sys, venv, ensurepip; assert (3, 11) <= sys.version_info < (3, 14); print(sys.version)"
	for _, name := range []string{"/usr/bin/python3.11", "python3.11", "/usr/bin/python3", "python3"} {
		found, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		said, err := exec.CommandContext(ctx, found, "-c", probe).Output()
		if err == nil {
			return found, strings.TrimSpace(string(said)), nil
		}
	}
	return "", "", errors.New("the tests need a Python of version 3.11, 3.12 or 3.13 with venv (Debian: python3-venv): none was found")
}

// Python is the interpreter of the tests' virtual environment: hypha-rpc, numpy, cloudpickle, httpx, pydantic. It is built
// first if it is missing.
func Python(ctx context.Context) (string, error) {
	venv, err := prepare(ctx, os.Stderr, PartHypha)
	if err != nil {
		return "", err
	}
	return filepath.Join(venv, "bin", "python"), nil
}

// NodeDir is the folder whose node_modules hold hypha-rpc and ws: run node in it, or name it in NODE_PATH plus
// /node_modules. It is built first if it is missing.
func NodeDir(ctx context.Context) (string, error) {
	return prepare(ctx, os.Stderr, PartNode)
}
