package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/manifest"
)

// root is the top of the checkout.
const root = "../.."

// read parses one page, named from the top.
func read(t *testing.T, file string) page {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(file, string(data))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pages are the Markdown files of the checkout, named from the top.
func pages(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "test/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			name, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, name)
		}
	}
	for _, must := range []string{"README.md", "CHANGELOG.md", "docs/admin.md", "docs/user.md"} {
		if !slices.Contains(files, must) {
			t.Fatalf("%s is missing", must)
		}
	}
	return files
}

// played are the pages whose blocks run.
func played(t *testing.T) []string {
	return slices.DeleteFunc(pages(t), func(f string) bool {
		return f == "test/README.md" || f == "docs/benchmarks.md" // one is played by developer.md in part, the other is generated
	})
}

// rest completes a part of a manifest.
const rest = `
id: shown
name: Shown
id_emoji: "x"
description: A part that a page shows.
type: ray-serve
authorized_users: ["*"]
deployments: ["entry:Entry", "model:Model"]
`

func TestFences(t *testing.T) {
	t.Run("every block is run, compared, or said not to be run", func(t *testing.T) {
		for _, file := range played(t) {
			for _, f := range read(t, file).fences {
				if err := f.check(); err != nil {
					t.Error(err)
				}
			}
		}
	})
	t.Run("parts of manifests are valid", func(t *testing.T) {
		for _, file := range played(t) {
			for _, f := range read(t, file).fences {
				if f.Lang != "yaml" {
					continue
				}
				text := f.Text
				if f.Target() == "" {
					text += rest
				}
				if _, err := manifest.ParseManifest([]byte(text), f.String(), manifest.Rules{}); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code    = regexp.MustCompile("`[^`]*`")
	heading = regexp.MustCompile(`^#+ +(.*)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names by which a page's headings can be linked to, as code hosts make them.
func anchors(p page) map[string]bool {
	names := map[string]bool{}
	for _, line := range p.prose {
		if found := heading.FindStringSubmatch(line); found != nil {
			plain := dropped.ReplaceAllString(strings.ToLower(found[1]), "")
			names[strings.ReplaceAll(plain, " ", "-")] = true
		}
	}
	return names
}

func TestLinks(t *testing.T) {
	for _, file := range pages(t) {
		text := code.ReplaceAllString(strings.Join(read(t, file).prose, "\n"), "")
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(found[1], "://") {
				checkLink(t, file, found[1])
			}
		}
	}
}

func checkLink(t *testing.T, file, to string) {
	t.Helper()
	path, anchor, _ := strings.Cut(to, "#")
	target := file
	if path != "" {
		target = filepath.Join(filepath.Dir(file), path)
	}
	if _, err := os.Stat(filepath.Join(root, target)); err != nil {
		t.Errorf("%s: the link %s leads nowhere", file, to)
		return
	}
	if anchor != "" && !anchors(read(t, target))[anchor] {
		t.Errorf("%s: the link %s leads to no heading", file, to)
	}
}

// place is a file or folder of the checkout, as pages name it.
var place = regexp.MustCompile("`((?:cmd|jobs|worker|hypha|manifest|apptainer|scheduler|test|examples|docs|scripts)(?:/[A-Za-z0-9_.-]+)+)`")

func TestNamedFiles(t *testing.T) {
	for _, file := range []string{"docs/developer.md", "README.md", "test/README.md"} {
		text := strings.Join(read(t, file).prose, "\n")
		for _, found := range place.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, found[1])); err != nil {
				t.Errorf("%s names %s, which is not there", file, found[1])
			}
		}
	}
}

func TestMakeTargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	for _, file := range played(t) {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range target.FindAllSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + string(found[1]) + `:`).Match(makefile) {
				t.Errorf("%s: the Makefile has no target %s", file, found[1])
			}
		}
	}
}

// TestImageRecipe holds the recipe of the image to what the tests' own image is made of.
func TestImageRecipe(t *testing.T) {
	recipe, err := os.ReadFile(filepath.Join(root, "docs/image.def"))
	if err != nil {
		t.Fatal(err)
	}
	required, err := os.ReadFile(filepath.Join(root, "test/image/requirements.in"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(required)) {
		name := strings.TrimSpace(line)
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if !regexp.MustCompile(`(?m)^\s+` + regexp.QuoteMeta(name) + `( \\)?$`).Match(recipe) {
			t.Errorf("docs/image.def does not install %s", name)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name, shown, printed string
		ok                   bool
	}{
		{"equal", "a b\nc", "a b  \nc\n", true},
		{"part of a line", "a … c", "a b b c\n", true},
		{"lines", "a\n…\nc", "a\nb\nb\nc\n", true},
		{"no lines", "…\na\n…", "a\n", true},
		{"missing line", "a\nb", "a\n", false},
		{"more lines", "a", "a\nb\n", false},
		{"other word", "a … c", "a b d\n", false},
		{"signs of expressions", "a.b", "axb\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := match(c.shown, c.printed); (err == nil) != c.ok {
				t.Error(err)
			}
		})
	}
}

// TestExamplesParse keeps the programs that pages show free of syntax errors where no system is there to run them.
func TestExamplesParse(t *testing.T) {
	for _, file := range played(t) {
		for _, f := range read(t, file).fences {
			if f.Lang != "python" {
				continue
			}
			cmd := exec.Command("python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())")
			cmd.Stdin = strings.NewReader(f.Text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", f, err, out)
			}
		}
	}
}
