package hypha

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// TestProvider runs every scenario of testdata/caller.py, with the real hypha-rpc, against a Go service.
func TestProvider(t *testing.T) {
	t.Parallel()
	h := systems.Hypha(t)
	c := mustConnect(t, account(t, h, "provider"))
	if err := c.Register(testContext(t), echoService("echo")); err != nil {
		t.Fatal(err)
	}
	for _, scenario := range []string{
		"values", "numpy", "arguments", "errors", "callbacks", "returned_functions", "nested", "context", "schema", "long_call",
		"large", "large_result", "description", "direct", "concurrent",
	} {
		t.Run(scenario, func(t *testing.T) {
			runScript(t, h, "provider", "caller.py", scenario, c.Address()+":echo")
		})
	}
	t.Run("javascript", func(t *testing.T) { runNode(t, h, "provider", "caller.js", c.Address()+":echo") })
	t.Run("http", func(t *testing.T) { testGateway(t, h, c) })
	t.Run("foreign_workspace", func(t *testing.T) {
		runScript(t, h, "stranger", "caller.py", "values", c.Address()+":echo")
	})
	until(t, "returned functions are freed when their caller has left", func() bool { return c.sessions.count() == 0 })
}

// testGateway calls over Hypha's HTTP gateway, which sends all arguments as keywords and reads the status out of the error text.
func testGateway(t *testing.T, h *bed.Hypha, c *Client) {
	base := h.URL + "/" + c.Info().Workspace + "/services/" + c.Info().ClientID + ":echo/"
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "add?a=1&b=2", "", 200, "3"},
		{"GET", "add?a=5", "", 200, "15"},
		{"POST", "add", `{"a": 20, "b": 3}`, 200, "23"},
		{"POST", "add", `[20, 4]`, 200, "24"},
		{"POST", "echo", `"scalar"`, 200, `"scalar"`},
		{"GET", "nest.deep.hello?name=http", "", 200, `"hello http"`},
		{"GET", "add", "", 400, "Missing required argument: 'a'"},
		{"GET", "add?a=1&z=1", "", 400, "unexpected keyword argument 'z'"},
		{"GET", "fail?class=ValueError", "", 400, "ValueError: as you wish"},
		{"GET", "fail?class=PermissionError", "", 403, "PermissionError: as you wish"},
		{"GET", "fail?class=KeyError", "", 404, "KeyError: as you wish"},
		{"GET", "fail", "", 500, "RuntimeError: plain failure"},
	} {
		request, err := http.NewRequestWithContext(testContext(t), test.method, base+test.path, bytes.NewBufferString(test.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != test.status || !strings.Contains(string(text), test.want) {
			t.Errorf("%s %s: %d %s, %v", test.method, test.path, response.StatusCode, text, err)
		}
		if test.status == 200 && !json.Valid(text) {
			t.Errorf("%s: no JSON", test.path)
		}
	}
}
