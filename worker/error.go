package worker

import (
	"errors"
	"fmt"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

// Errors reach a client as text whose last line is `<Class>: <message>`;
// clients match on both (contract 0.2), so the classes are Python's.

func valueError(format string, args ...any) error {
	return &hypha.Error{Class: "ValueError", Message: fmt.Sprintf(format, args...)}
}

func typeError(format string, args ...any) error {
	return &hypha.Error{Class: "TypeError", Message: fmt.Sprintf(format, args...)}
}

func permissionError(format string, args ...any) error {
	return &hypha.Error{Class: "PermissionError", Message: fmt.Sprintf(format, args...)}
}

func runtimeError(format string, args ...any) error {
	return &hypha.Error{Class: "RuntimeError", Message: fmt.Sprintf(format, args...)}
}

// message is what an error says, without the class that the wire adds.
func message(err error) string {
	var coded *hypha.Error
	if errors.As(err, &coded) {
		return coded.Message
	}
	return err.Error()
}

// refusal turns what the manager of jobs answered into the caller's error:
// what the application's author can mend is a ValueError, all else is ours.
func refusal(id string, err error) error {
	var request *jobs.RequestError
	if errors.As(err, &request) {
		return valueError("Application '%s' cannot run on this cluster: %s", id, err)
	}
	return runtimeError("Application '%s' could not be deployed: %s", id, err)
}

// authorError gives an error of package manifest its Python class. Failures of
// this machine keep theirs.
func authorError(err error) error {
	var mistake interface{ PythonClass() string }
	if errors.As(err, &mistake) {
		return &hypha.Error{Class: mistake.PythonClass(), Message: err.Error()}
	}
	return err
}
