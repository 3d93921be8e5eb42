package bed

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Patience of Hypha's start (it takes 4 s on 2 quiet cores) and end.
const (
	readyWithin = 60 * time.Second
	endsWithin  = 10 * time.Second
)

// HyphaConfig says how to start a Hypha server. The zero value is a server for this machine alone.
type HyphaConfig struct {
	Host string            // address both bound and told to clients, default 127.0.0.1; Cluster.OuterIP for one the cluster reaches
	Port int               // 0: a free one
	Env  map[string]string // beside the server's own settings, for example HYPHA_WS_MSG_RATE_LIMIT; "" removes one
	Dir  string            // where its log and database stay; "": in a folder that goes at Stop
}

// Hypha is a real Hypha server with artifacts, and the S3 stand-in (moto) behind it. Its methods may be called from one
// goroutine at a time. It goes with the process that started it.
type Hypha struct {
	URL       string // http://host:port, for every client
	S3URL     string // the S3 endpoint that presigned URLs name
	RootToken string // opaque token of the user root
	JWTSecret string // signs the tokens of Token
	Version   string // as the running server reports it

	config HyphaConfig
	python string
	run    string // run folder
	dir    string // log and database
	keeper *keeper
	s3     *process
	server *process
	stop   sync.Once
}

// StartHypha starts moto and Hypha and returns when the server is ready, which it must be within 60 s. What is missing is built
// first. An error holds the end of the log.
func StartHypha(ctx context.Context, config HyphaConfig) (*Hypha, error) {
	python, err := Python(ctx)
	if err != nil {
		return nil, err
	}
	config.Host = cmp.Or(config.Host, "127.0.0.1")
	if config.Dir != "" {
		if config.Dir, err = filepath.Abs(config.Dir); err == nil {
			err = os.MkdirAll(config.Dir, 0o755)
		}
		if err != nil {
			return nil, fmt.Errorf("create the Hypha server's folder: %w", err)
		}
	}
	run, err := newRun(ctx, "hypha", true)
	if err != nil {
		return nil, err
	}
	keeper, err := startKeeper(run)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(run))
	}
	h := &Hypha{config: config, python: python, run: run, dir: cmp.Or(config.Dir, run), keeper: keeper,
		RootToken: randomHex(48), JWTSecret: randomHex(32)}
	if err := h.start(ctx); err != nil {
		return nil, errors.Join(err, h.Stop())
	}
	return h, nil
}

func (h *Hypha) start(ctx context.Context) error {
	if err := h.startS3(ctx); err != nil {
		return err
	}
	fixed := h.config.Port != 0
	for attempt := 1; ; attempt++ {
		if !fixed {
			port, err := freePort(h.config.Host)
			if err != nil {
				return err
			}
			h.config.Port = port
		}
		h.URL = "http://" + h.address(h.config.Port)
		err := h.startServer(ctx)
		taken := err != nil && strings.Contains(err.Error(), "address already in use") // between our look and its bind
		if !taken || fixed || attempt == 3 {
			return err
		}
	}
}

func (h *Hypha) address(port int) string {
	return net.JoinHostPort(h.config.Host, strconv.Itoa(port))
}

func (h *Hypha) startS3(ctx context.Context) error {
	port, err := freePort(h.config.Host)
	if err != nil {
		return err
	}
	h.S3URL = "http://" + h.address(port)
	h.s3, err = startProcess(h.run, "moto", filepath.Join(h.dir, "s3.log"), h.environment(nil),
		h.python, "-m", "moto.server", "-H", h.config.Host, "-p", strconv.Itoa(port))
	if err != nil {
		return err
	}
	return h.await(ctx, h.s3, "the S3 stand-in", h.S3URL+"/moto-api/")
}

// startServer starts the server on the chosen port and reads its version.
func (h *Hypha) startServer(ctx context.Context) error {
	var err error
	log := filepath.Join(h.dir, "hypha.log")
	if err := os.RemoveAll(log); err != nil { // an error must quote this start, not the one before
		return err
	}
	h.server, err = startProcess(h.run, "hypha", log, h.environment(h.settings()), h.python, "-m", "hypha.server", "--from-env")
	if err != nil {
		return err
	}
	if err := h.await(ctx, h.server, "the Hypha server", h.URL+"/health/readiness"); err != nil {
		return err
	}
	h.Version, err = hyphaVersion(ctx, h.URL)
	return err
}

// settings are the server's arguments as environment, so that no secret stands in a command line.
func (h *Hypha) settings() map[string]string {
	set := map[string]string{
		"HYPHA_HOST": h.config.Host, "HYPHA_PORT": strconv.Itoa(h.config.Port), "HYPHA_PUBLIC_BASE_URL": h.URL,
		"HYPHA_RESET_REDIS": "true", "HYPHA_ROOT_TOKEN": h.RootToken, "HYPHA_JWT_SECRET": h.JWTSecret,
		"HYPHA_ENABLE_S3": "true", "HYPHA_S3_ADMIN_TYPE": "generic", "HYPHA_ENDPOINT_URL": h.S3URL, "HYPHA_ENDPOINT_URL_PUBLIC": h.S3URL,
		"HYPHA_ACCESS_KEY_ID": "test", "HYPHA_SECRET_ACCESS_KEY": "testsecret", "HYPHA_REGION_NAME": "us-east-1",
		"HYPHA_WORKSPACE_BUCKET": "hypha-workspaces", "HYPHA_S3_CLEANUP_PERIOD": "2",
		"HYPHA_DATABASE_URI": "sqlite+aiosqlite:///" + filepath.Join(h.dir, "hypha.db"),
		"HYPHA_LOGLEVEL":     "WARNING",
	}
	for key, value := range h.config.Env {
		set[key] = value
	}
	return set
}

// environment is what the servers inherit from us, without proxies, and the settings.
func (h *Hypha) environment(settings map[string]string) []string {
	env := []string{"PATH=/usr/bin:/bin", "HOME=" + h.run, "LANG=C.UTF-8", "TMPDIR=" + os.TempDir(), "NO_PROXY=*", "PYTHONUNBUFFERED=1"}
	for key, value := range settings {
		if value != "" {
			env = append(env, key+"="+value)
		}
	}
	slices.Sort(env)
	return env
}

// await polls the URL until it answers 200. It gives up when the process ends, after 60 s, or with ctx.
func (h *Hypha) await(ctx context.Context, p *process, what, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		if p.ended() {
			return fmt.Errorf("%s ended while starting:\n%s", what, p.said())
		}
		if status(ctx, url) == http.StatusOK {
			return nil
		}
		select {
		case <-p.done:
		case <-time.After(30 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready at %s (%w):\n%s", what, url, ctx.Err(), p.said())
		}
	}
}

// status asks the URL and returns the HTTP status, 0 when nobody answers.
func status(ctx context.Context, url string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is ours
	answer, err := client.Do(request)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	return answer.StatusCode
}

// Stop ends the server with SIGTERM (clients see close code 1012), then the S3 stand-in, and removes their folder. Further
// calls do nothing.
func (h *Hypha) Stop() error {
	var err error
	h.stop.Do(func() {
		if h.server != nil {
			err = h.server.end(syscall.SIGTERM, endsWithin)
		}
		if h.s3 != nil {
			err = errors.Join(err, h.s3.end(syscall.SIGKILL, endsWithin)) // it keeps nothing
		}
		err = errors.Join(err, h.keeper.stop())
	})
	return err
}

// Kill ends the server with SIGKILL, as a crash would (clients see 1006); the S3 stand-in goes on. Restart brings it back.
func (h *Hypha) Kill() error { return h.server.end(syscall.SIGKILL, endsWithin) }

// Restart ends the server if it runs (SIGTERM) and starts it on the same port with the same secrets, database and S3
// content. Services, clients and what else lived in its memory are gone.
func (h *Hypha) Restart(ctx context.Context) error {
	if err := h.server.end(syscall.SIGTERM, endsWithin); err != nil {
		return err
	}
	return h.startServer(ctx)
}

// Log is the file that holds what the server printed since its last start.
func (h *Hypha) Log() string { return h.server.log }

func freePort(host string) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port on %s: %w", host, err)
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
}
