package hypha

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// handshakeWithin covers the server's admission queue (30 s) and its delay for reconnects (hypha-protocol 1.1).
const handshakeWithin = 60 * time.Second

// credentials are the first message.
type credentials struct {
	ClientID          string  `json:"client_id"`
	Workspace         *string `json:"workspace"`
	Token             *string `json:"token"`
	ReconnectionToken *string `json:"reconnection_token"`
}

// textFrame is any control frame of the server, connection_info among them.
type textFrame struct {
	Type                      string         `json:"type"`
	Message                   string         `json:"message"`
	HyphaVersion              string         `json:"hypha_version"`
	PublicBaseURL             string         `json:"public_base_url"`
	ManagerID                 string         `json:"manager_id"`
	Workspace                 string         `json:"workspace"`
	ClientID                  string         `json:"client_id"`
	User                      map[string]any `json:"user"`
	ReconnectionToken         string         `json:"reconnection_token"`
	ReconnectionTokenLifeTime float64        `json:"reconnection_token_life_time"`
	Announcement              string         `json:"announcement"`
}

func (f *textFrame) info() Info {
	return Info{
		Workspace: f.Workspace, ClientID: f.ClientID, ManagerID: f.ManagerID, ServerVersion: f.HyphaVersion,
		PublicBaseURL: strings.TrimRight(f.PublicBaseURL, "/"), User: userOf(f.User),
	}
}

// handshake sends who we are and waits for connection_info. Binary frames that come before it belong to the time before a
// reconnect: their senders have been told that we were gone, so they are dropped.
func handshake(ctx context.Context, s *socket, first credentials) (*textFrame, error) {
	stop := context.AfterFunc(ctx, func() { s.close(false) })
	defer stop()
	s.readWithin(handshakeWithin)
	defer s.readWithin(0)
	message, err := json.Marshal(first)
	if err != nil {
		return nil, fmt.Errorf("pack the first message: %w", err)
	}
	if err := s.write(true, message, nil); err != nil {
		return nil, &ConnectError{Kind: KindNetwork, Err: fmt.Errorf("send the first message: %w", err)}
	}
	for {
		text, data, err := s.read()
		if err != nil {
			return nil, handshakeBroken(ctx, err)
		}
		if !text {
			continue
		}
		var frame textFrame
		if err := json.Unmarshal(data, &frame); err != nil {
			return nil, &ConnectError{Kind: KindServer, Err: fmt.Errorf("read the server's answer: %w", err)}
		}
		switch frame.Type {
		case "connection_info":
			return &frame, checkInfo(&frame, first)
		case "error":
			return nil, refused(frame.Message)
		}
	}
}

func handshakeBroken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	kind := KindNetwork
	if code := closeCode(err); code == 1013 {
		kind = KindBusy
	}
	return &ConnectError{Kind: kind, Err: fmt.Errorf("wait for connection_info: %w", err)}
}

func checkInfo(frame *textFrame, first credentials) error {
	if first.Workspace != nil && *first.Workspace != frame.Workspace {
		return &ConnectError{Kind: KindDenied,
			Message: fmt.Sprintf("asked for workspace %s, got %s", *first.Workspace, frame.Workspace)}
	}
	if first.ClientID != frame.ClientID {
		return &ConnectError{Kind: KindServer,
			Message: fmt.Sprintf("asked for client id %s, got %s", first.ClientID, frame.ClientID)}
	}
	return nil
}
