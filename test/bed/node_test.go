//go:build systems

package bed

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestNodeCallsPython(t *testing.T) {
	h := systems.Hypha(t)
	token, err := h.Token("dave")
	if err != nil {
		t.Fatal(err)
	}
	provider := python(t, h, "testdata/provide.py", token)
	provider.Stderr = os.Stderr
	hold, err := provider.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := provider.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hold.Close()
		if err := provider.Wait(); err != nil {
			t.Error("the provider:", err)
		}
	})
	id, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal("the provider registered nothing:", err)
	}
	if said, want := runNode(t, h, token, strings.TrimSpace(id)), `answer {"text":"grüße","numbers":[1,2.5],"bytes":[0,255]}`; !strings.Contains(said, want) {
		t.Fatalf("the Node client printed %q, not %q", said, want)
	}
}

func runNode(t *testing.T, h *Hypha, token, service string) string {
	t.Helper()
	dir, err := NodeDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/call.cjs")
	cmd.Env = append(os.Environ(), "URL="+h.URL, "TOKEN="+token, "SERVICE="+service, "NODE_PATH="+filepath.Join(dir, "node_modules"))
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the Node client: %v\n%s", err, said)
	}
	return string(said)
}
