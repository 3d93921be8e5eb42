package manifest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

const manifestHead = `id: app
name: App
description: An application
id_emoji: "x"
type: ray-serve
authorized_users: ["*"]
deployments:
`

const pythonHead = `from hypha_rpc.utils.schema import schema_method
from ray import serve
from ray.serve.handle import DeploymentHandle
`

// application makes the files of an application: a manifest with the entries,
// and per file name its text.
func application(entries string, texts map[string]string) map[string][]byte {
	files := map[string][]byte{"manifest.yaml": []byte(manifestHead)}
	for _, entry := range strings.Fields(entries) {
		files["manifest.yaml"] = fmt.Appendf(files["manifest.yaml"], "  - %q\n", entry)
	}
	for name, text := range texts {
		files[name] = []byte(text)
	}
	return files
}

func readText(t testing.TB, text string) (*Application, error) {
	t.Helper()
	return Reader{}.Read(t.Context(), application("main:Main", map[string]string{"main.py": text}), Rules{})
}

func TestRead_refuses_hostile_sources_within_its_limits(t *testing.T) {
	class := "\n" + pythonHead + "@serve.deployment\nclass Main:\n    @schema_method\n    def f(self): pass\n"
	line := func(unit string, n int) string { return strings.Repeat(unit, n/len(unit)) }
	const mega = 1<<20 - 2000
	cases := []struct{ name, text, message, place string }{
		{"open_brackets", line("(", mega) + class, "brackets are nested deeper than 200 levels", "main.py:1"},
		{"nested_brackets", "x = " + line("[", mega/2) + line("]", mega/2) + class, "brackets are nested deeper than 200 levels", "main.py:1"},
		{"unclosed_bracket", "x = (\n" + class, "'(' was never closed", "main.py:1"},
		{"many_closing_brackets", line(")", mega) + class, "unmatched ')'", "main.py:1"},
		{"many_unclosed_lines", line("x = (]\n", 200_000) + class, "does not match '('", "main.py:1"},
		{"open_quotes", line("'\n", 99_998) + class, "invalid syntax", "main.py:49999"},
		{"unclosed_text", `x = """` + line("a", mega) + class, "invalid syntax", "main.py:1"},
		{"deep_blocks", deepBlocks(300) + class, "blocks are nested deeper than 100 levels", "main.py:102"},
		{"nul", "x = '\x00'" + class, "contains a NUL byte", "main.py:1"},
		{"latin1", "x = 'caf\xe9'" + class, "not UTF-8", "main.py:1"},
		{"declared_encoding", "# -*- coding: shift_jis -*-" + class, "declares the encoding shift_jis", "main.py:1"},
		{"too_large", line("#", 1<<20+1) + class, "more than 1048576 bytes", "main.py"},
		{"garbage", line("\x01\x02 @ ? $ ! \x7f", 60_000), "invalid syntax", "main.py:1"},
		{"keywords", line("class def lambda if else for in \n", 30_000), "invalid syntax", "main.py:1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := readText(t, c.text)
			wantProblem(t, err, c.message, c.place)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func deepBlocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "if x:\n")
	}
	return b.String() + strings.Repeat(" ", n) + "pass\n"
}

func TestRead_accepts_sources_that_are_merely_odd(t *testing.T) {
	class := "\n" + pythonHead + "@serve.deployment(ray_actor_options={'num_cpus': 2})\nclass Main:\n    @schema_method\n    def f(self): pass\n"
	const mega = 1<<20 - 2000
	cases := map[string]string{
		"one_long_line":     "x = '" + strings.Repeat("a", mega) + "'" + class,
		"one_long_comment":  "# " + strings.Repeat("a", mega) + class,
		"long_chain":        "x = 1" + strings.Repeat(" + 1", 100_000) + class,
		"many_nots":         "x = " + strings.Repeat("not ", 100_000) + "1" + class,
		"long_attribute":    "x = a" + strings.Repeat(".b", 100_000) + class,
		"long_list":         "x = [" + strings.Repeat("1,", 80_000) + "]" + class,
		"many_names":        manyNames(8_000) + class,
		"carriage_returns":  strings.ReplaceAll("x = 1"+class, "\n", "\r\n"),
		"byte_order_mark":   "\xef\xbb\xbfx = 1" + class,
		"form_feeds":        "\f\nx = 1\n\f" + class,
		"python_2_print":    "print 'hello'" + class,
		"nested_f_string":   "y = 1\nx = f'{f\"{y}\"}'" + class,
		"f_string_of_3_12":  "d = {}\nx = f'{d['a']}'" + class,
		"decorated_comment": strings.Replace(class, "@serve.deployment(", "# above\n@serve.deployment( # inside\n", 1),
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			app, err := readText(t, text)
			if err != nil {
				t.Fatal(err)
			}
			if cpus, _ := app.Entry().Options.NumCPUs.Get(); cpus != 2 {
				t.Errorf("num_cpus is %v", app.Entry().Options.NumCPUs)
			}
		})
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "name_%d = {'a': %d}\n", i, i)
	}
	return b.String()
}

func TestRead_ends_a_child_that_costs_too_much(t *testing.T) {
	text := strings.Repeat("x = [1, 2, 3]\n", 70_000)
	files := application("main:Main", map[string]string{"main.py": text})
	t.Run("memory", func(t *testing.T) {
		_, err := Reader{Limits: Limits{MemoryBytes: 64 << 20}}.Read(t.Context(), files, Rules{})
		problem := wantProblem(t, err, "reading it takes more than 64 MiB of memory", "main.py")
		if problem.Code != CodeReaderLimit {
			t.Errorf("code %s", problem.Code)
		}
	})
	t.Run("processor", func(t *testing.T) {
		_, err := Reader{Child: []string{"/bin/sh", "-c", "ulimit -t 1; while :; do :; done"}}.Read(t.Context(), files, Rules{})
		wantProblem(t, err, "reading it takes more than 5s", "main.py")
	})
	t.Run("time", func(t *testing.T) {
		start := time.Now()
		_, err := Reader{Child: []string{"/bin/sleep", "60"}, Limits: Limits{Time: time.Millisecond, StartTime: time.Millisecond}}.Read(t.Context(), files, Rules{})
		wantProblem(t, err, "reading it takes more than 1ms", "main.py")
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %s", took)
		}
	})
	t.Run("file_size", func(t *testing.T) {
		_, err := Reader{Limits: Limits{FileBytes: 1000}}.Read(t.Context(), files, Rules{})
		wantProblem(t, err, "more than 1000 bytes", "main.py")
	})
}

func TestRead_survives_a_child_that_misbehaves(t *testing.T) {
	files := application("main:Main", map[string]string{"main.py": "x = 1\n"})
	cases := []struct{ name, script, message string }{
		{"crash", "kill -SEGV $$", "the parser ended with signal: segmentation fault"},
		{"exit", "echo 'something broke' >&2; exit 3", "the parser ended with exit status 3. something broke"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Reader{Child: []string{"/bin/sh", "-c", c.script}}.Read(t.Context(), files, Rules{})
			problem := wantProblem(t, err, c.message, "main.py")
			if problem.PythonClass() != "RuntimeError" {
				t.Errorf("class %s", problem.PythonClass())
			}
		})
	}
	machine := map[string][]string{
		"garbage":         {"/bin/echo", "garbage"},
		"nothing":         {"/bin/true"},
		"another_answer":  {"/bin/echo", "{}"},
		"endless_answer":  {"/bin/cat", "/dev/zero"},
		"missing_program": {"/nonexistent/program"},
	}
	for name, child := range machine {
		t.Run(name, func(t *testing.T) {
			_, err := Reader{Child: child}.Read(t.Context(), files, Rules{})
			var problem *Error
			if err == nil || errors.As(err, &problem) {
				t.Errorf("got %v, want a failure that is not the author's", err)
			}
		})
	}
}

func TestRead_stops_with_its_context(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	files := application("main:Main", map[string]string{"main.py": "x = 1\n"})
	done := make(chan error, 1)
	go func() {
		_, err := Reader{Child: []string{"/bin/sleep", "60"}}.Read(ctx, files, Rules{})
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

// The child must not see what the controller holds in its environment.
func TestRead_gives_the_child_no_environment(t *testing.T) {
	t.Setenv("HYPHA_TOKEN", "secret-value")
	seen := t.TempDir() + "/environment"
	files := application("main:Main", map[string]string{"main.py": "x = 1\n"})
	_, err := Reader{Child: []string{"/bin/sh", "-c", "/usr/bin/env > " + seen + "; exit 1"}}.Read(t.Context(), files, Rules{})
	if err == nil {
		t.Fatal("the stand-in's failure was not reported")
	}
	environment, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(environment), "secret-value") {
		t.Errorf("the child sees %s", environment)
	}
}

func TestRead_may_be_called_concurrently(t *testing.T) {
	files := readFolder(t, "testdata/apps/composition")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			app, err := Reader{}.Read(t.Context(), files, Rules{})
			if err != nil || len(app.Deployments) != 3 {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
}

func BenchmarkRead(b *testing.B) {
	files := readFolder(b, "testdata/apps/basic")
	for b.Loop() {
		if _, err := (Reader{}).Read(b.Context(), files, Rules{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDescribe is the part of BenchmarkRead that is not the child's start.
func BenchmarkDescribe(b *testing.B) {
	text := readFolder(b, "testdata/apps/basic")["basic.py"]
	for b.Loop() {
		reply := describeFile(childRequest{File: "basic.py", Classes: []string{"Basic"}, MaxBytes: 1 << 20}, text)
		if len(reply.Problems) > 0 {
			b.Fatal(reply.Problems)
		}
	}
}
