package bed

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// hyphaVersion asks a running server: it tells its version to every client that connects.
func hyphaVersion(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, strings.Replace(url, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		return "", fmt.Errorf("connect to the Hypha server for its version: %w", err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(readyWithin))
	hello := map[string]any{"client_id": "version-" + randomHex(4), "workspace": nil, "token": nil, "reconnection_token": nil}
	if err := conn.WriteJSON(hello); err != nil {
		return "", fmt.Errorf("ask the Hypha server for its version: %w", err)
	}
	var info struct {
		Version string `json:"hypha_version"`
		Message string
	}
	if err := conn.ReadJSON(&info); err != nil {
		return "", fmt.Errorf("ask the Hypha server for its version: %w", err)
	}
	if info.Version == "" {
		return "", fmt.Errorf("the Hypha server tells no version: %q", info.Message)
	}
	return info.Version, nil
}
