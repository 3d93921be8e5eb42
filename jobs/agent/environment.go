package agent

import (
	"slices"
	"strings"
)

// What Python inherits of the agent's environment: how to find programs and devices, and nothing else. The
// application's variables and secrets come over the socket.
var (
	inherited = []string{
		"PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"OMP_NUM_THREADS", "GPU_DEVICE_ORDINAL",
	}
	inheritedPrefixes = []string{"LC_", "CUDA_", "NVIDIA_", "NCCL_", "ROCR_", "HIP_", "ZE_"}
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns the variables that Python is started with.
func environment(agents []string, home string) []string {
	env := []string{"HOME=" + home}
	path := false
	for _, variable := range agents {
		name, value, _ := strings.Cut(variable, "=")
		path = path || name == "PATH" && value != ""
		if slices.Contains(inherited, name) || hasPrefix(name, inheritedPrefixes) {
			env = append(env, variable)
		}
	}
	if !path {
		env = append(env, "PATH="+defaultPath)
	}
	return env
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}
