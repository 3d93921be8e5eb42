package hypha

import "testing"

// TestProvider runs every scenario of testdata/caller.py, with the real hypha-rpc, against a Go service.
func TestProvider(t *testing.T) {
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
	t.Run("foreign_workspace", func(t *testing.T) {
		runScript(t, h, "stranger", "caller.py", "values", c.Address()+":echo")
	})
	until(t, "returned functions are freed when their caller has left", func() bool { return c.sessions.count() == 0 })
}
