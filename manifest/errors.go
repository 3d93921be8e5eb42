package manifest

import (
	"errors"
	"fmt"
	"strings"
)

// Codes of the errors of this package.
const (
	CodeManifestMissing  = "manifest_missing"
	CodeManifestYAML     = "manifest_yaml"
	CodeFieldMissing     = "manifest_field_missing"
	CodeFieldType        = "manifest_field_type"
	CodeApplicationType  = "manifest_application_type"
	CodeAlias            = "manifest_alias"
	CodeDeployments      = "manifest_deployments"
	CodeAuthorizedUsers  = "manifest_authorized_users"
	CodeSlurm            = "manifest_slurm"
	CodeFileMissing      = "deployment_file_missing"
	CodeClassMissing     = "deployment_class_missing"
	CodeNoDeployment     = "deployment_not_decorated"
	CodeNoSchemaMethods  = "deployment_no_schema_methods"
	CodeOption           = "deployment_option"
	CodeHandle           = "deployment_handle"
	CodeArguments        = "application_kwargs"
	CodeReaderLimit      = "reader_limit" // the source cost more than the child may spend
	CodeReaderFailed     = "reader_failed"
	pythonValueError     = "ValueError"
	pythonRuntimeError   = "RuntimeError"
	manyProblemsJoinedBy = " Also: "
)

// Place is a line of one of the author's files.
type Place struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"` // from 1; 0 when only the file is known
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Error is a mistake of the author with its place. Message is the contract's
// text where the contract has one; place and hint are added behind it.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Place   Place  `json:"place,omitzero"`
}

func (e *Error) Error() string {
	text := e.Message
	if e.Place.File != "" {
		text += " (" + e.Place.String() + ")"
	}
	if e.Hint != "" {
		text += " " + e.Hint
	}
	return text
}

// PythonClass is the exception class under which clients see the error.
func (e *Error) PythonClass() string {
	if e.Code == CodeReaderFailed {
		return pythonRuntimeError
	}
	return pythonValueError
}

// Errors are several problems found together, in the order of the contract's
// checks. errors.As finds the first as an *Error.
type Errors []*Error

// Error is one line: clients read the last line of a remote error.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, problem := range e {
		texts[i] = problem.Error()
	}
	return strings.Join(texts, manyProblemsJoinedBy)
}

// Unwrap gives errors.Is and errors.As every problem.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, problem := range e {
		out[i] = problem
	}
	return out
}

// PythonClass is that of the first problem.
func (e Errors) PythonClass() string { return e[0].PythonClass() }

// err is nil, the only problem, or all of them.
func (e Errors) err() error {
	switch len(e) {
	case 0:
		return nil
	case 1:
		return e[0]
	}
	return e
}

func (e *Errors) add(code string, place Place, format string, args ...any) *Error {
	problem := &Error{Code: code, Message: fmt.Sprintf(format, args...), Place: place}
	*e = append(*e, problem)
	return problem
}

// merge adds the problems of an error that this package made.
func (e *Errors) merge(err error) {
	var many Errors
	var one *Error
	switch {
	case errors.As(err, &many):
		*e = append(*e, many...)
	case errors.As(err, &one):
		*e = append(*e, one)
	}
}
