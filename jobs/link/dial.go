package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"
)

const (
	linkPath    = "/link"
	connectTime = 5 * time.Second  // for TCP, per address: hosts that drop packets must not hold up the next address
	upgradeTime = 20 * time.Second // for TCP, TLS, the Gate and the upgrade, per address
)

// Names of the headers in which an agent shows its Identity.
const (
	headerAllocation = "Bioengine-Allocation"
	headerToken      = "Bioengine-Token"
	headerKey        = "Bioengine-Key"
)

// DialConfig says whom to dial and as whom.
type DialConfig struct {
	Endpoint Endpoint
	Identity Identity
	Timing   Timing
	Log      *zap.Logger // nil: none
}

// Dial connects to the first address of the endpoint that answers with the right key. A *Refusal (errors.As) is the
// controller's own word; any other error means that nobody answered and says so for each address.
func Dial(ctx context.Context, config DialConfig) (*Conn, error) {
	var failed []error
	for _, address := range config.Endpoint.Addresses {
		conn, err := dialOne(ctx, address, config)
		if err == nil {
			return conn, nil
		}
		var refusal *Refusal
		if errors.As(err, &refusal) || ctx.Err() != nil {
			return nil, fmt.Errorf("dial %s: %w", address, err)
		}
		failed = append(failed, fmt.Errorf("dial %s: %w", address, err))
	}
	if len(failed) == 0 {
		return nil, errors.New("dial: the endpoint has no address")
	}
	return nil, errors.Join(failed...)
}

func dialOne(ctx context.Context, address string, config DialConfig) (*Conn, error) {
	buffers := &bufferPool{}
	dialer := websocket.Dialer{
		NetDialContext:   (&net.Dialer{Timeout: connectTime}).DialContext,
		TLSClientConfig:  pinned(config.Endpoint.Fingerprint),
		HandshakeTimeout: upgradeTime,
		ReadBufferSize:   readBuffer,
		WriteBufferSize:  writeBuffer,
		WriteBufferPool:  &buffers.socket,
	}
	ws, answer, err := dialer.DialContext(ctx, "wss://"+address+linkPath, config.Identity.header())
	if err != nil {
		return nil, refusal(answer, err)
	}
	log := config.Log
	if log == nil {
		log = zap.NewNop()
	}
	return newConn(ws, true, config.Identity.Allocation, config.Timing, buffers, log)
}

func (i Identity) header() http.Header {
	h := http.Header{}
	h.Set(headerAllocation, i.Allocation)
	h.Set(headerKey, i.Key)
	if i.Token != "" {
		h.Set(headerToken, i.Token)
	}
	return h
}

// refusal reads the controller's reason from the answer to a failed upgrade, whose first KiB gorilla has kept.
func refusal(answer *http.Response, err error) error {
	if !errors.Is(err, websocket.ErrBadHandshake) || answer == nil {
		return err
	}
	var r Refusal
	if json.NewDecoder(answer.Body).Decode(&r) != nil || r.Code == "" {
		return fmt.Errorf("the server answered %s", answer.Status)
	}
	return &r
}
