package agent

import (
	"encoding/json"
	"io"
	"sync"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

// served are the calls that a replica answers to other deployments.
type served struct {
	mu      sync.Mutex // guards the following field
	waiting map[uint32]chan result
}

// result is Python's answer to a call.
type result struct {
	ok   bool
	body *inbound
}

func newServed() *served { return &served{waiting: map[uint32]chan result{}} }

// expect returns where the answer to a call will come; forget ends that.
func (s *served) expect(id uint32) <-chan result {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := make(chan result, 1)
	s.waiting[id] = answer
	return answer
}

// forget drops the answer, come or not.
func (s *served) forget(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case a := <-s.waiting[id]:
		a.body.abandon()
	default:
	}
	delete(s.waiting, id)
}

// answer takes Python's answer; one that nobody waits for is dropped.
func (s *served) answer(f *frame, body *inbound) {
	var head struct {
		OK bool `json:"ok"`
	}
	_ = json.Unmarshal(f.head, &head) // what is not understood is no success
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.waiting[f.id]
	if waiting == nil {
		body.abandon()
		return
	}
	select {
	case waiting <- result{head.OK, body}:
	default: // answered twice
		body.abandon()
	}
}

// serveHandle passes a call of another deployment to Python, and the answer back. A caller that closes cancels it,
// and so does the end of the link, which closes done.
func (r *replica) serveHandle(done <-chan struct{}, h link.Header, stream *link.Stream) {
	size, err := link.ReadHandleRequest(stream)
	if err != nil {
		return // the caller has left
	}
	child := r.current()
	if child == nil {
		r.refuse(stream, "the replica does not run")
		return
	}
	id := child.socket.newID(kindCall)
	answer := r.served.expect(id)
	defer r.served.forget(id)
	head, err := json.Marshal(callee{h.Deployment, h.Method})
	if err == nil {
		_, err = child.socket.sendFrom(done, kindCall, 0, id, head, stream, size)
	}
	if err != nil {
		r.refuse(stream, "the call did not reach the replica: "+err.Error())
		return
	}
	r.awaitAnswer(child, id, stream, answer)
}

func (r *replica) awaitAnswer(child *child, id uint32, stream *link.Stream, answer <-chan result) {
	left := make(chan struct{})
	go func() { // ends with the stream, which ends when this function's caller returns
		defer close(left)
		_, _ = stream.Read(make([]byte, 1))
	}()
	select {
	case a := <-answer:
		defer a.body.abandon()
		if err := writeAnswer(stream, a); err != nil {
			r.log.Debug("an answer to another deployment was lost", zap.Error(err))
		}
	case <-left:
		child.socket.post(appendBare(nil, kindCancel, id))
	case <-r.silent.c:
		r.refuse(stream, "the replica ended during the call")
	}
	stream.Close()
	<-left
}

func writeAnswer(stream *link.Stream, a result) error {
	status := link.HandleOK
	if !a.ok {
		status = link.HandleError
	}
	if err := link.WriteHandleAnswer(stream, status, a.body.size); err != nil {
		return err
	}
	_, err := io.Copy(stream, a.body)
	return err
}

func (r *replica) refuse(stream *link.Stream, why string) {
	if err := link.RefuseHandle(stream, "ReplicaLost: "+why); err != nil {
		r.log.Debug("a refused call was not told so", zap.Error(err))
	}
}
