package bed

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestHypha(t *testing.T) {
	t.Run("a Python client with a minted token keeps an artifact on S3", func(t *testing.T) {
		said := runPython(t, systems.Hypha(t), "testdata/artifact.py", "carol")
		if want := "ws-user-carol ws-user-carol/greeting hello from S3"; !strings.Contains(said, want) {
			t.Fatalf("the client printed %q, not %q", said, want)
		}
	})
	t.Run("an expired token is refused", func(t *testing.T) {
		h := systems.Hypha(t)
		token, err := h.Token("carol", Expires(-time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		said, err := python(t, h, "testdata/artifact.py", token).CombinedOutput()
		if err == nil || !strings.Contains(strings.ToLower(string(said)), "expired") {
			t.Fatalf("the client ended with %v, printing %s", err, said)
		}
	})
	t.Run("after a crash and a restart the port, the tokens and the artifacts are the same", restartKeepsArtifacts)
	t.Run("no secret stands in a command line", func(t *testing.T) {
		h := systems.Hypha(t)
		for _, p := range []*process{h.server, h.s3} {
			line := strings.Join(p.cmd.Args, " ")
			if strings.Contains(line, h.RootToken) || strings.Contains(line, h.JWTSecret) {
				t.Errorf("a secret stands in %q", line)
			}
		}
	})
}

func restartKeepsArtifacts(t *testing.T) {
	h, err := StartHypha(t.Context(), HyphaConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	runPython(t, h, "testdata/artifact.py", "erin")
	url, token := h.URL, h.RootToken
	if err := h.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := status(t.Context(), h.URL+"/health/readiness"); got != 0 {
		t.Fatalf("the killed server answers %d", got)
	}
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h.URL != url || h.RootToken != token {
		t.Errorf("the restarted server is at %s with another token %t", h.URL, h.RootToken != token)
	}
	token, err = h.Token("erin")
	if err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, h.URL+"/ws-user-erin/artifacts/greeting/files/hello.txt", token); got != "hello from S3" {
		t.Errorf("the artifact's file holds %q", got)
	}
}

func readFile(t *testing.T, url, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func runPython(t *testing.T, h *Hypha, script, user string) string {
	t.Helper()
	token, err := h.Token(user)
	if err != nil {
		t.Fatal(err)
	}
	said, err := python(t, h, script, token).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, said)
	}
	return string(said)
}

func python(t *testing.T, h *Hypha, script, token string) *exec.Cmd {
	t.Helper()
	interpreter, err := Python(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), interpreter, script)
	cmd.Env = append(os.Environ(), "URL="+h.URL, "TOKEN="+token)
	return cmd
}
