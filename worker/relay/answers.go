package relay

import (
	"context"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// answer is one that the relay gives by itself.
type answer struct {
	to    hypha.Header
	err   error // rejects; nil: resolves with value
	value any
	sent  chan<- struct{} // closed when this answer's turn comes; then there is nothing to send
}

// push queues an answer. The queue is bounded where calls come in: an accepted call has a place in it from the start,
// and when Limits.Answers are taken no further call is.
func (r *Relay) push(a answer) {
	r.answers.push(a)
	wake(r.answerWake)
}

// sendAnswers sends the relay's own answers, one after the other: they share the connection's message budget anyway.
func (r *Relay) sendAnswers(ctx context.Context, up Answerer) {
	for {
		a, ok := r.nextAnswer()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-r.answerWake:
			}
			continue
		}
		r.sendAnswer(ctx, up, a)
	}
}

func (r *Relay) nextAnswer() (answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answers.pop()
}

func (r *Relay) sendAnswer(ctx context.Context, up Answerer, a answer) {
	var err error
	switch {
	case a.sent != nil:
		close(a.sent)
		return
	case a.err != nil:
		err = up.Reject(ctx, a.to, a.err)
	default:
		err = up.Resolve(ctx, a.to, a.value)
	}
	if err != nil {
		r.counters.drop(dropUnsent)
		r.log.Debug("own answer not sent", zap.String("to", a.to.From), zap.Error(err))
	}
}
