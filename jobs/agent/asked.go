package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// asked are the calls that a replica makes to other deployments: each gets a stream to the controller.
type asked struct {
	uplink  *uplink
	replica string
	log     *zap.Logger

	mu   sync.Mutex // guards the following field
	open map[uint32]context.CancelFunc
}

func newAsked(u *uplink, replica string, log *zap.Logger) *asked {
	return &asked{uplink: u, replica: replica, log: log, open: map[uint32]context.CancelFunc{}}
}

// callee is the head of a call.
type callee struct {
	Deployment string `json:"deployment"`
	Method     string `json:"method"`
}

// begin starts a call on a goroutine of workers. Their number is that of the calls that Python has open.
func (a *asked) begin(ctx context.Context, workers *sync.WaitGroup, socket *socket, f *frame, body *inbound) {
	ctx, cancel := context.WithCancel(ctx)
	a.mu.Lock()
	a.open[f.id] = cancel
	a.mu.Unlock()
	workers.Go(func() {
		defer cancel()
		defer body.abandon()
		a.call(ctx, socket, f, body)
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.open, f.id)
	})
}

// cancel ends a call whose result Python does not want any more.
func (a *asked) cancel(id uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cancel := a.open[id]; cancel != nil {
		cancel()
	}
}

func (a *asked) call(ctx context.Context, socket *socket, f *frame, body *inbound) {
	begun, err := a.forward(ctx, socket, f, body)
	if err == nil || ctx.Err() != nil {
		return // answered, or nobody wants an answer
	}
	a.log.Debug("a call to another deployment failed", zap.Uint32("call", f.id), zap.Error(err))
	if !begun {
		text := []byte("ReplicaLost: the call was lost on its way: " + err.Error())
		socket.post(appendMessage(nil, kindResult, 0, f.id, []byte(`{"ok":false}`), text))
	}
}

// forward carries the call and its answer. begun: Python has got a part of the answer.
func (a *asked) forward(ctx context.Context, socket *socket, f *frame, body *inbound) (begun bool, err error) {
	var to callee
	if err := json.Unmarshal(f.head, &to); err != nil {
		return false, fmt.Errorf("read the call's head: %w", err)
	}
	conn, err := a.uplink.get(ctx)
	if err != nil {
		return false, err
	}
	stream, err := conn.Open(ctx, link.Header{
		Kind: link.KindHandle, Replica: a.replica, Deployment: to.Deployment, Method: to.Method,
		ID: fmt.Sprintf("%s-%d", a.replica, f.id), Size: body.size,
	})
	if err != nil {
		return false, err
	}
	// Written beside reading: a refusal comes before the request has been taken.
	var writing sync.WaitGroup
	defer writing.Wait()
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { stream.Close() })
	defer stop()
	writing.Go(func() {
		if writeRequest(stream, body) != nil {
			stream.Close() // the controller sees the end, and so does the reading below
		}
	})
	return passAnswer(socket, f.id, stream)
}

func writeRequest(stream *link.Stream, body *inbound) error {
	if err := link.WriteHandleRequest(stream, body.size); err != nil {
		return err
	}
	_, err := io.Copy(stream, body)
	return err
}

func passAnswer(socket *socket, id uint32, stream *link.Stream) (begun bool, err error) {
	status, size, err := link.ReadHandleAnswer(stream)
	if err != nil {
		return false, err
	}
	head := []byte(`{"ok":false}`)
	if status == link.HandleOK {
		head = []byte(`{"ok":true}`)
	}
	return socket.sendFrom(nil, kindResult, 0, id, head, stream, size)
}
