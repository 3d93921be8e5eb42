package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Exit codes, as documented in docs/cli.md.
const (
	exitFailure     = 1 // the command was understood and did not succeed
	exitUsage       = 2 // the command line, a file or the configuration is wrong
	exitPermission  = 3 // the server or worker refused this user
	exitUnreachable = 4 // the server or worker cannot be reached
)

// usageError is bad input: what is wrong, where, and what to try.
type usageError struct{ Sentence, Place, Hint string }

func (e *usageError) Error() string { return e.Sentence }

// cliError is any other failure whose exit code or hint is known.
type cliError struct {
	Code     int
	Sentence string
	Hint     string
}

func (e *cliError) Error() string { return e.Sentence }

// report prints an error as the user should see it and returns the exit code.
func report(w io.Writer, err error, asJSON bool) int {
	code, place, hint := exitFailure, "", ""
	var usage *usageError
	var known *cliError
	switch {
	case errors.As(err, &usage):
		code, place, hint = exitUsage, usage.Place, usage.Hint
	case errors.As(err, &known):
		code, hint = known.Code, known.Hint
	}
	if asJSON {
		b, _ := json.Marshal(map[string]any{"error": map[string]any{"code": code, "message": err.Error(), "place": place, "hint": hint}})
		fmt.Fprintln(w, string(b))
		return code
	}
	fmt.Fprintln(w, "error:", err)
	if place != "" {
		fmt.Fprintln(w, "   at:", place)
	}
	if hint != "" {
		fmt.Fprintln(w, " hint:", hint)
	}
	return code
}
