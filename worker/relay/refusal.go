package relay

import (
	"strings"

	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// refuseReplica answers a replica's call of somebody in that somebody's name when it is not sent, so that the
// application gets an error and not a time-out.
func (r *Relay) refuseReplica(tag string, h hypha.Header, err error) {
	r.log.Debug("call of a replica refused", zap.String("replica", tag), zap.String("to", h.To),
		zap.String("method", h.Method), zap.Error(err))
	if !ownSession(tag, h.Session) {
		return
	}
	extra, packErr := msgpack.Marshal(map[string]any{"args": []any{
		map[string]string{"_rtype": "error", "_rvalue": err.Error(), "_rtrace": err.Error()},
	}})
	if packErr != nil {
		r.log.Error("error answer to replica not packed", zap.Error(packErr))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rep := r.replicas[tag]; rep != nil {
		r.postFrame(rep, r.letter(hypha.Frame{
			Header: hypha.Header{Type: "method", From: h.To, To: r.client, Method: h.Session + ".reject", Parent: h.Session},
			Extra:  hypha.Payload{Data: extra},
		}, "", false))
	}
}

// ownSession tells whether an id was made in the replica with that tag.
func ownSession(tag, session string) bool { return strings.HasPrefix(session, tag+"-") }
