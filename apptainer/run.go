package apptainer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Bind makes a file or folder of the host visible in the container. Bind a folder
// rather than a file that will be replaced or removed: a bound file stays what it
// was.
type Bind struct {
	Source, Target string // absolute
	ReadOnly       bool
}

// Run is one program in a container.
//
// The container sees nothing of the host but the image and the binds: no home, no
// host /tmp, no variable, no other process. Its root is read-only. HOME inside is
// the user's home by name, which is not there; Apptainer allows no other, so a
// program that needs a home is given one by whoever starts it inside.
type Run struct {
	Apptainer string // absolute path of the program on the compute hosts
	Image     Image
	Binds     []Bind
	// WorkDir is a folder of the host that becomes /tmp and /var/tmp. Empty: memory,
	// limited by the site to 64 MiB or so.
	WorkDir string
	// Pwd is the working directory inside. Empty: /.
	Pwd string
	// GPUs says that the job was granted some; only then is the driver bound in.
	GPUs bool
	// Env are further variables inside, taken literally. No secret: the batch
	// system keeps the script.
	Env     map[string]string
	Command []string // the program inside and its arguments
}

// variable is the name of an environment variable as shells take it.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// envPrefix brings a variable into the container. With --no-eval its value is taken
// as it is; --env splits at commas, and --env-file is run by a shell.
const envPrefix = "APPTAINERENV_"

// Argv is the command line and the variables to set for it.
func (r Run) Argv() (argv []string, env map[string]string, err error) {
	if err := r.check(); err != nil {
		return nil, nil, err
	}
	pwd := r.Pwd
	if pwd == "" {
		pwd = "/"
	}
	argv = []string{r.Apptainer, "--quiet", "exec", "--containall", "--no-home", "--no-eval", "--pwd", pwd}
	if r.WorkDir != "" {
		argv = append(argv, "--workdir", r.WorkDir)
	}
	for _, b := range r.Binds {
		argv = append(argv, "--bind", b.String())
	}
	if r.GPUs {
		argv = append(argv, "--nv")
	}
	argv = append(argv, r.Image.path)
	env = make(map[string]string, len(r.Env))
	for name, value := range r.Env {
		env[envPrefix+name] = value
	}
	return append(argv, r.Command...), env, nil
}

// String is the bind as --bind takes it.
func (b Bind) String() string {
	s := b.Source + ":" + b.Target
	if b.ReadOnly {
		s += ":ro"
	}
	return s
}

func (b Bind) check() error {
	for _, path := range []string{b.Source, b.Target} {
		if err := checkPath(path); err != nil {
			return fmt.Errorf("bind %.200q: the path %w", b, err)
		}
		// Apptainer splits at colons and commas and takes \ as their quote.
		if strings.ContainsAny(path, `:,\`) {
			return fmt.Errorf(`bind %.200q: a path with a colon, a comma or a \ cannot be bound`, b)
		}
	}
	return nil
}

func (r Run) check() error {
	if r.Image.kind != Container {
		return fmt.Errorf("image %q is not run by Apptainer", r.Image)
	}
	if err := checkPath(r.Apptainer); err != nil {
		return fmt.Errorf("the apptainer program %.200q %w", r.Apptainer, err)
	}
	if err := checkPath(r.WorkDir); r.WorkDir != "" && err != nil {
		return fmt.Errorf("the scratch folder %.200q %w", r.WorkDir, err)
	}
	if err := checkPath(r.Pwd); r.Pwd != "" && r.Pwd != "/" && err != nil {
		return fmt.Errorf("the working directory inside %.200q %w", r.Pwd, err)
	}
	for _, b := range r.Binds {
		if err := b.check(); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		if !variable.MatchString(name) || name == "HOME" {
			return fmt.Errorf("the variable %.80q cannot be set for a container", name)
		}
		if strings.Contains(r.Env[name], "\x00") {
			return fmt.Errorf("the value of the variable %s holds a NUL", name)
		}
	}
	return checkCommand(r.Command)
}

func checkCommand(command []string) error {
	if len(command) == 0 || command[0] == "" {
		return fmt.Errorf("no command is given")
	}
	if slices.ContainsFunc(command, func(word string) bool { return strings.Contains(word, "\x00") }) {
		return fmt.Errorf("a word of the command holds a NUL")
	}
	return nil
}
