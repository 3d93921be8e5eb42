package worker

import (
	"regexp"
	"strings"
	"testing"
)

func TestApplicationID(t *testing.T) {
	for _, id := range []string{"a", "my-app", "My_App-2", "0", strings.Repeat("x", 63)} {
		if err := checkApplicationID(id); err != nil {
			t.Errorf("%q is refused: %v", id, err)
		}
	}
	for _, id := range append([]string{"", "-a", "_a", "a/b", "a.b", "a b", "ä", strings.Repeat("x", 64), "bioengine-worker", "built-in"}, statusKeys...) {
		err := checkApplicationID(id)
		if err == nil || !strings.HasPrefix(err.Error(), "ValueError: Invalid application ID: '") {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestGeneratedID(t *testing.T) {
	t.Run("has the form of the contract and may be used", func(t *testing.T) {
		form := regexp.MustCompile(`^[a-z]+-[a-z]+-[0-9a-f]{4}$`)
		for range 1000 {
			id, err := generateID(func(string) bool { return false })
			if err != nil || !form.MatchString(id) || checkApplicationID(id) != nil {
				t.Fatalf("%q, %v", id, err)
			}
		}
	})
	t.Run("is not one in use", func(t *testing.T) {
		asked := 0
		id, err := generateID(func(string) bool { asked++; return asked < 5 })
		if err != nil || id == "" || asked != 5 {
			t.Errorf("%q after %d questions, %v", id, asked, err)
		}
		if _, err := generateID(func(string) bool { return true }); err == nil {
			t.Error("an id in use was given")
		}
	})
}

func TestArtifactID(t *testing.T) {
	for given, want := range map[string]string{"my-app": "ws/my-app", "other/my-app": "other/my-app"} {
		if got, err := completeArtifactID(given, "ws"); got != want || err != nil {
			t.Errorf("%q became %q, %v", given, got, err)
		}
	}
	for _, bad := range []string{"", "/", "a/", "/a", "a/b/c", "a b", "a\nb", strings.Repeat("x", 300)} {
		if got, err := completeArtifactID(bad, "ws"); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestClientID(t *testing.T) {
	if got := clientID("worker", "my-app"); got != "worker-431cf07b" { // printf my-app | sha1sum
		t.Errorf("%q", got)
	}
}
