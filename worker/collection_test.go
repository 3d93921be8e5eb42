package worker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// script is an artifact manager that gives these answers in turn, the last
// one for ever.
type script struct {
	answers []error
	asked   []string
}

func (s *script) Call(_ context.Context, method string, _ ...any) (any, error) {
	s.asked = append(s.asked, method)
	err := s.answers[min(len(s.asked), len(s.answers))-1]
	return map[string]any{}, err
}

func TestCollection(t *testing.T) {
	racing := &hypha.RemoteError{Class: "KeyError", Message: `"Artifact exists but failed to retrieve 'ws/applications', this may be a race condition."`}
	staged := &hypha.RemoteError{Class: "KeyError", Message: `"Artifact with ID 'ws/applications' exists but is in staging mode (not committed)."`}
	missing := &hypha.RemoteError{Class: "KeyError", Message: `"Artifact with ID 'ws/applications' does not exist."`}
	for _, c := range []struct {
		name    string
		answers []error
		asked   []string
	}{
		{"is there", []error{nil}, []string{"read"}},
		{"is created", []error{missing, nil}, []string{"read", "create"}},
		{"is being created by somebody", []error{racing, staged, nil}, []string{"read", "read", "read"}},
		{"was created by somebody meanwhile", []error{missing, errors.New("it exists"), racing, nil}, []string{"read", "create", "read", "read"}},
		{"was left uncommitted by a creation that broke off", []error{staged, staged, staged, staged, staged, staged, nil}, []string{"read", "read", "read", "read", "read", "read", "commit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			am := &script{answers: c.answers}
			id, err := ensureCollection(t.Context(), am, "ws")
			if err != nil || id != "ws/applications" || !slices.Equal(am.asked, c.asked) {
				t.Errorf("%q, %v after %v", id, err, am.asked)
			}
		})
	}
	t.Run("never settles", func(t *testing.T) {
		am := &script{answers: []error{racing}}
		if _, err := ensureCollection(t.Context(), am, "ws"); err == nil || !strings.Contains(err.Error(), beingCreated) || len(am.asked) != 6 {
			t.Errorf("%v after %v", err, am.asked)
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		am := &script{answers: []error{racing}}
		if _, err := readRecord(ctx, am, "ws/applications", ""); !errors.Is(err, context.Canceled) || len(am.asked) != 1 {
			t.Errorf("%v after %v", err, am.asked)
		}
	})
}

// TestUncommittedCollection leaves the collection as a worker does that ends
// between the two halves of its creation, on the real server.
func TestUncommittedCollection(t *testing.T) {
	server := systems.Hypha(t)
	token := must(server.Token("unfinished"))
	client := must(hypha.Connect(t.Context(), hypha.Config{ServerURL: server.URL, Token: func(context.Context) (string, error) { return token, nil }}))
	defer client.Close()
	am := must(client.GetService(t.Context(), "public/artifact-manager", hypha.GetServiceOptions{}))
	must(am.Call(t.Context(), "create", hypha.Kwargs{"type": "collection", "alias": collectionAlias, "stage": true, "manifest": map[string]any{"name": "Applications"}}))
	workspace := client.Info().Workspace
	id := must(ensureCollection(t.Context(), am, workspace))
	if _, err := readRecord(t.Context(), am, id, ""); err != nil || id != workspace+"/applications" {
		t.Errorf("%q, %v", id, err)
	}
}
