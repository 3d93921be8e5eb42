//go:build systems

package bed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCluster(t *testing.T) {
	t.Run("a GPU job of alice runs the image through Apptainer", gpuJob)
	t.Run("login reaches this machine, compute hosts reach login only", reach)
	t.Run("slurmrestd accepts a minted token and no other", restToken)
	t.Run("a host that is switched off and on comes back", offOn)
	t.Run("a host that is cut off reaches nobody until mended", cutMend)
	t.Run("a signal reaches the program inside, and the end of the context kills it", signals)
	t.Run("the wrappers hand their environment on to Slurm", wrapperEnvironment)
}

const gpuScript = `#!/bin/bash
#SBATCH --partition=gpu --gres=gpu:1 --cpus-per-task=2 --mem=500 --output=/home/alice/gpu.txt
echo "gpu $CUDA_VISIBLE_DEVICES"
exec apptainer --silent exec --containall /scratch/img/app.sif python3 -c 'import cloudpickle, httpx, hypha_rpc, numpy, pydantic; print("sum", numpy.arange(4).sum())'
`

func gpuJob(t *testing.T) {
	c := systems.Cluster(t)
	sbatch := exec.CommandContext(t.Context(), filepath.Join(c.Wrappers("alice"), "sbatch"), "--parsable")
	sbatch.Stdin = strings.NewReader(gpuScript)
	said, err := sbatch.CombinedOutput()
	if err != nil {
		t.Fatalf("sbatch: %v\n%s", err, said)
	}
	if err := c.WaitIdle(t.Context()); err != nil {
		t.Error(err)
	}
	output, err := os.ReadFile(filepath.Join(c.Home("alice"), "gpu.txt"))
	if err != nil {
		t.Error(err)
	}
	if got, want := string(output), "gpu 0\nsum 6\n"; got != want {
		t.Errorf("the job printed %q, not %q", got, want)
	}
	jobs, err := c.Squeue(t.Context(), true)
	id := strings.TrimSpace(string(said))
	for _, job := range jobs {
		if job.ID == id && job.User == "alice" && job.State == "COMPLETED" {
			return
		}
	}
	t.Errorf("job %s is not among %+v (%v)", id, jobs, err)
}

func reach(t *testing.T) {
	c := systems.Cluster(t)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Listener.Close()
	server.Listener = listen(t, c.OuterIP())
	server.Start()
	t.Cleanup(server.Close)
	login := "http://" + c.InnerIP() + ":6820/openapi/v3"
	for _, try := range []struct{ host, url, want string }{
		{"login", server.URL, "404"}, {"c1", server.URL, "000"}, {"c1", "http://" + c.LoginIP() + ":6820", "000"},
		{"c1", login, "401"}, {"c1", "http://login:6820/openapi/v3", "401"},
	} {
		got, _ := c.Output(t.Context(), try.host, "alice", "curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", try.url)
		if got != try.want {
			t.Errorf("%s got %s from %s, not %s", try.host, got, try.url, try.want)
		}
	}
}

func restToken(t *testing.T) {
	c := systems.Cluster(t)
	token, err := c.JWT("alice")
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{token: http.StatusOK, token[:len(token)-4] + "AAAA": 511} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.RESTURL()+"/slurm/v0.0.42/jobs/state/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-SLURM-USER-TOKEN", token)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("slurmrestd answered %s, not %d", answer.Status, want)
		}
	}
}

func offOn(t *testing.T) {
	c := systems.Cluster(t)
	if err := c.Off(t.Context(), "c3"); err != nil {
		t.Fatal(err)
	}
	if said, err := c.Output(t.Context(), "c3", "root", "true"); err == nil {
		t.Errorf("a command ran on a host that is off: %q", said)
	}
	if _, err := c.Output(t.Context(), "login", "root", "scontrol", "update", "nodename=c3", "state=down", "reason=off"); err != nil {
		t.Error(err)
	}
	if err := c.WaitNode(t.Context(), "c3", "down"); err != nil {
		t.Error(err)
	}
	if err := c.On(t.Context(), "c3"); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitNode(t.Context(), "c3", "idle"); err != nil {
		t.Fatal(err)
	}
	said, err := c.Output(t.Context(), "login", "alice", "srun", "--nodelist=c3", "hostname")
	if err != nil || said != "c3" {
		t.Errorf("a job on c3 printed %q: %v", said, err)
	}
}

func cutMend(t *testing.T) {
	c := systems.Cluster(t)
	reaches := func() bool {
		_, err := c.Output(t.Context(), "c2", "alice", "curl", "-s", "-o", "/dev/null", "-m", "1", "http://login:6820/openapi/v3")
		return err == nil
	}
	if !reaches() {
		t.Fatal("c2 does not reach login to begin with")
	}
	if err := c.Cut(t.Context(), "c2"); err != nil {
		t.Fatal(err)
	}
	if reaches() {
		t.Error("c2 reaches login without a cable")
	}
	if err := c.Mend(t.Context(), "c2"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, reaches)
}

func signals(t *testing.T) {
	c := systems.Cluster(t)
	var stdout bytes.Buffer
	cmd := c.Command(t.Context(), "login", "alice", "bash", "-c", `trap 'echo "$HOME $WORD"; exit 3' TERM; touch ready; while :; do sleep 0.02; done`)
	cmd.Env = append(cmd.Env, "WORD=two words")
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return exists(filepath.Join(c.Home("alice"), "ready")) })
	if err := Signal(cmd, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || stdout.String() != "/home/alice two words\n" {
		t.Errorf("the program ended with %v, printing %q", err, stdout.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd = c.Command(ctx, "login", "alice", "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid, err := InnerPID(cmd)
	if err != nil {
		t.Fatal(err)
	}
	_, start, err := processStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("the cancelled program ended well")
	}
	waitFor(t, func() bool { return !alive(fmt.Sprint(pid, " ", start)) })
}

// The product scrubs what it hands to sbatch; that can only be tested if the wrapper does not.
func wrapperEnvironment(t *testing.T) {
	c := systems.Cluster(t)
	srun := exec.CommandContext(t.Context(), filepath.Join(c.Wrappers("bob"), "srun"), "sh", "-c", `echo "$(id -un) $HOME $MARK"`)
	srun.Env = []string{"MARK=seen", "HOME=/nowhere"}
	said, err := srun.CombinedOutput()
	if got := strings.TrimSpace(string(said)); err != nil || got != "bob /home/bob seen" {
		t.Errorf("the job printed %q: %v", got, err)
	}
}

func TestPrintVersions(t *testing.T) {
	var text bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := PrintVersions(ctx, &text, systems.Cluster(t), systems.ClusterHypha(t)); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	for _, want := range []string{"slurmctld      24.11.", "Apptainer      apptainer version 1.", "image          hypha-rpc 0.21.47 on Python 3.11.",
		"Hypha          0.21.137", "Python client  hypha-rpc 0.21.47", "Node client    hypha-rpc 0.21.40"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	said, err := systems.Cluster(t).Output(ctx, "login", "alice", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", systems.ClusterHypha(t).URL+"/health/readiness")
	if err != nil || said != "200" {
		t.Errorf("the login host got %s from the Hypha server: %v", said, err)
	}
}

func listen(t *testing.T, host string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
