package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	tokenVariable = "HYPHA_TOKEN"
	tokenFDName   = "BIOENGINE_HPC_TOKEN_FD"
	maxToken      = 64 << 10 // bytes
)

// hideToken starts this program over when HYPHA_TOKEN is in its environment:
// everybody with this uid could read it in /proc as long as the process
// lives. The token then waits in an anonymous file that only the new program
// has open. It returns the token, or "" when the variable was not set.
func hideToken() (string, error) {
	if n := os.Getenv(tokenFDName); n != "" {
		return takeToken(n)
	}
	token := os.Getenv(tokenVariable)
	if token == "" {
		return "", nil
	}
	fd, err := unix.MemfdCreate("token", 0)
	if err != nil {
		return "", fmt.Errorf("hide %s: %w", tokenVariable, err)
	}
	f := os.NewFile(uintptr(fd), "token")
	if _, err := f.WriteString(token); err != nil {
		return "", fmt.Errorf("hide %s: %w", tokenVariable, err)
	}
	var environment []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, tokenVariable+"=") {
			environment = append(environment, kv)
		}
	}
	environment = append(environment, tokenFDName+"="+strconv.Itoa(fd))
	return "", fmt.Errorf("start over without %s: %w", tokenVariable, unix.Exec("/proc/self/exe", os.Args, environment))
}

// takeToken reads the token that hideToken left and closes the file.
func takeToken(number string) (string, error) {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return "", fmt.Errorf("%s is set by this program itself; unset it", tokenFDName)
	}
	f := os.NewFile(uintptr(fd), "token")
	defer f.Close()
	if err := os.Unsetenv(tokenFDName); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxToken))
	return strings.TrimSpace(string(b)), err
}

// tokenSource returns what gives the Hypha token at each connect. A file is
// read every time, so that an administrator can renew it.
func tokenSource(file, given string) (func(context.Context) (string, error), error) {
	if file == "" {
		if given == "" {
			return nil, &usageError{Sentence: "no Hypha token is given", Hint: "set hypha.token_file in the configuration, --token-file, or " + tokenVariable}
		}
		return func(context.Context) (string, error) { return given, nil }, nil
	}
	read := func(context.Context) (string, error) { return readTokenFile(file) }
	if _, err := read(context.Background()); err != nil {
		return nil, err
	}
	return read, nil
}

func readTokenFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", &usageError{Sentence: "the token file cannot be read: " + err.Error(), Hint: "it holds the Hypha token and nothing else"}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", &usageError{Sentence: "the token file can be read by others", Place: path, Hint: "chmod 600 " + path}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxToken))
	token := strings.TrimSpace(string(b))
	if err == nil && token == "" {
		err = errors.New("the token file is empty")
	}
	return token, err
}
