package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the help texts into docs/cli.md (make docs)")

const docsDir = "../../docs"

// setting is one leaf of the configuration.
type setting struct {
	key      string // "jobs.times.poll_busy"
	fallback string // as the documentation shows it; "" when the default is a zero value
}

// leaves are all settings of a configuration, by their names in the file.
func leaves(v reflect.Value, prefix, home string) []setting {
	var all []setting
	for i := range v.NumField() {
		key := prefix + v.Type().Field(i).Tag.Get("yaml")
		field := v.Field(i)
		if field.Kind() == reflect.Struct {
			all = append(all, leaves(field, key+".", home)...)
			continue
		}
		all = append(all, setting{key, shownDefault(field, home)})
	}
	return all
}

func shownDefault(v reflect.Value, home string) string {
	if v.IsZero() {
		return ""
	}
	if d, ok := v.Interface().(duration); ok {
		return short(time.Duration(d))
	}
	text := fmt.Sprint(v.Interface())
	if rest, ok := strings.CutPrefix(text, home); ok {
		return "~" + rest
	}
	return text
}

// short is a duration as people write it: 4h, not 4h0m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, none) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// documented are the rows of the tables in configuration.md: setting to default column.
func documented(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(docsDir, "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+(?:\\.[a-z_]+)+)` \\| ([^|]*) \\| \\S").FindAllStringSubmatch(string(page), -1) {
		if _, twice := rows[row[1]]; twice {
			t.Errorf("configuration.md describes %s twice", row[1])
		}
		rows[row[1]] = row[2]
	}
	return rows
}

func TestConfigurationPage(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	rows := documented(t)
	for _, s := range leaves(reflect.ValueOf(defaultConfig()), "", "/home/somebody") {
		shown, ok := rows[s.key]
		delete(rows, s.key)
		switch {
		case !ok:
			t.Errorf("configuration.md does not describe %s", s.key)
		case s.fallback != "" && shown != "`"+s.fallback+"`":
			t.Errorf("configuration.md says that the default of %s is %s; it is %s", s.key, shown, s.fallback)
		case s.fallback == "" && strings.HasPrefix(shown, "`") && shown != "`0`":
			t.Errorf("configuration.md says that the default of %s is %s; it has none", s.key, shown)
		}
	}
	for key := range rows {
		t.Errorf("configuration.md describes %s, which does not exist", key)
	}
}

// TestExampleConfiguration holds docs/controller.yaml to the real loader: it loads, has every setting, and shows the
// default wherever it does not say "example".
func TestExampleConfiguration(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	path := filepath.Join(docsDir, "controller.yaml")
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defaults := leaves(reflect.ValueOf(defaultConfig()), "", "/home/somebody")
	given := leaves(reflect.ValueOf(c), "", "/home/somebody")
	for i, s := range given {
		name := s.key[strings.LastIndexByte(s.key, '.')+1:]
		line := regexp.MustCompile(`(?m)^ +` + name + `:.*$`).FindString(string(text))
		switch example := strings.Contains(line, "# example"); {
		case line == "":
			t.Errorf("controller.yaml does not have %s", s.key)
		case example && s.fallback == defaults[i].fallback:
			t.Errorf("controller.yaml calls the default of %s an example", s.key)
		case !example && s.fallback != defaults[i].fallback:
			t.Errorf("controller.yaml has %s for %s; the default is %s", s.fallback, s.key, defaults[i].fallback)
		}
	}
}

func TestConfigurationMistakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":     {"jobs:\n  partitions: gpu\n", "line 2: field partitions not found"},
		"duration":        {"jobs:\n  time_limit: soon\n", `line 2: "soon" is not a duration`},
		"size":            {"jobs:\n  memory: 4 apples\n", `line 2: "4 apples" is not a size`},
		"negative":        {"jobs:\n  time_limit: -4h\n", `line 2: "-4h" is not a duration`},
		"list for a text": {"hypha:\n  workspace: [a]\n", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := loadConfig(path)
			var usage *usageError
			if !errors.As(err, &usage) || !strings.Contains(usage.Sentence, c.want) || usage.Place != path {
				t.Errorf("got %#v", err)
			}
		})
	}
}

// generated is a block of cli.md that belongs to the program.
var generated = regexp.MustCompile(`(?s)<!-- help: ([a-z -]+) -->\n.*?<!-- end -->`)

func TestCommandPage(t *testing.T) {
	t.Setenv("BIOENGINE_HPC_CONFIG", "") // defaults of flags
	t.Setenv("BIOENGINE_WORKER", "")
	path := filepath.Join(docsDir, "cli.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	fresh := generated.ReplaceAllFunc(page, func(block []byte) []byte {
		command := string(generated.FindSubmatch(block)[1])
		seen[command] = true
		return []byte(fmt.Sprintf("<!-- help: %s -->\n```text\n%s\n```\n<!-- end -->", command, help(t, command)))
	})
	for _, command := range visible() {
		if !seen[command] {
			t.Errorf("cli.md does not have the command %s", command)
		}
	}
	if bytes.Equal(fresh, page) {
		return
	}
	if !*update {
		t.Fatal("the help texts in docs/cli.md are not the program's: run 'make docs'")
	}
	if err := os.WriteFile(path, fresh, 0o644); err != nil {
		t.Fatal(err)
	}
}

// help is what a command prints for --help.
func help(t *testing.T, command string) string {
	t.Helper()
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(append(strings.Fields(command)[1:], "--help"))
	if err := root.Execute(); err != nil {
		t.Fatalf("%s --help: %v", command, err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// visible are the commands that people may call, except the library's own.
func visible() []string {
	all := []string{"bioengine-hpc"}
	for _, c := range newRoot().Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		all = append(all, c.CommandPath())
		for _, sub := range c.Commands() {
			all = append(all, sub.CommandPath())
		}
	}
	return all
}

func TestExitCodesPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(docsDir, "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([0-9]+)` \\|").FindAllSubmatch(page, -1)
	want := []int{0, exitFailure, exitUsage, exitPermission, exitUnreachable}
	if len(rows) != len(want) {
		t.Fatalf("cli.md lists %d exit codes; there are %d", len(rows), len(want))
	}
	for i, code := range want {
		if string(rows[i][1]) != fmt.Sprint(code) {
			t.Errorf("cli.md lists %s where %d belongs", rows[i][1], code)
		}
	}
}
