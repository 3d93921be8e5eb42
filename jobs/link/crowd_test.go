package link

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// dialEnv makes the test binary play many idle agents: it holds the Endpoint as JSON.
const dialEnv = "BIOENGINE_TEST_DIAL"

func TestMain(m *testing.M) {
	if spec := os.Getenv(dialEnv); spec != "" {
		if err := playAgents(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crowd is how many agents to play, and what each of them does before it falls silent.
type crowd struct {
	Endpoint Endpoint
	Name     string
	Agents   int
}

func playAgents(spec string) error {
	var c crowd
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	limit := make(chan struct{}, 4) // joining at a time
	failed := make(chan error, c.Agents)
	var joined sync.WaitGroup
	for i := range c.Agents {
		limit <- struct{}{}
		joined.Go(func() {
			defer func() { <-limit }()
			if err := playAgent(c.Endpoint, c.Name+strconv.Itoa(i)); err != nil {
				failed <- err
			}
		})
	}
	joined.Wait()
	if len(failed) > 0 {
		return <-failed
	}
	fmt.Println("joined")
	_, err := io.Copy(io.Discard, os.Stdin) // until the test has measured
	return err
}

// playAgent joins, logs a line, and answers each message, as an agent with one replica does.
func playAgent(e Endpoint, allocation string) error {
	conn, err := Dial(context.Background(), DialConfig{Endpoint: e, Identity: Identity{allocation, "token", "key"}})
	if err != nil {
		return err
	}
	if _, err := conn.Greet(context.Background(), Hello{Version: Version, Allocation: allocation}); err != nil {
		return err
	}
	log, err := conn.Open(context.Background(), Header{Kind: KindLog, Replica: allocation})
	if err != nil {
		return err
	}
	defer log.Close() // as a quiet agent does
	if err := WriteLog(log, LogRecord{Stream: Stdout, Time: time.Now(), Text: "started"}); err != nil {
		return err
	}
	go conn.Run(context.Background(), &echo{conn: conn})
	return nil
}

// echo sends each message back.
type echo struct{ conn *Conn }

func (e *echo) Control(Control) {}
func (e *echo) Message(m *Message) {
	_ = e.conn.Send(context.Background(), &Message{Replica: m.Replica, Call: m.Call, Ends: true, Data: m.Data, Reader: m.Reader, Size: m.Size})
}
func (e *echo) Stream(Header, *Stream) {}

// listener is what jobs does with an agent: it reads its log.
type listener struct{ answers chan *Message }

func (l *listener) Control(Control)    {}
func (l *listener) Message(m *Message) { l.answers <- m }
func (l *listener) Stream(_ Header, s *Stream) {
	for {
		if _, err := ReadLog(s); err != nil {
			return
		}
	}
}

func startCrowd(t *testing.T, c crowd) (stop func()) {
	t.Helper()
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dialEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) != "joined" {
		cmd.Wait()
		t.Fatalf("the agents did not join: %q, %v", line, err)
	}
	return func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	}
}
