package python

import "fmt"

// Limits bounds what Parse accepts.
type Limits struct {
	Bytes int // of one file
}

// Module is one parsed file. It is not safe for concurrent use: evaluating
// caches the values of names.
type Module struct {
	file      string
	src       *source
	root      *node
	bindings  map[string][]binding
	mutated   map[string]change // names whose object is changed in place
	aliases   map[string]string // B = A: a change of B changes A
	stars     []star            // every "from x import *"
	dynamic   int               // line of a call through which any name may be bound, or 0
	postponed bool              // from __future__ import annotations

	records   []string // see TreatAsRecord
	constants map[string]*constant
	steps     int // left for the evaluator
}

// star is one "from module import *".
type star struct {
	module string
	line   int
}

// Parse reads one file; the file's name is used in texts only. Every error that
// the source causes is an *Error.
func Parse(file string, text []byte, limits Limits) (*Module, error) {
	src, err := newSource(text, limits.Bytes)
	if err != nil {
		return nil, err
	}
	fault, err := checkNesting(src)
	if err != nil {
		return nil, err
	}
	root, err := parseTree(src)
	if err != nil {
		if fault != nil {
			return nil, fault // the unmatched bracket says more than the parser
		}
		return nil, err
	}
	m := &Module{
		file: file, src: src, root: root,
		bindings: map[string][]binding{}, mutated: map[string]change{}, aliases: map[string]string{},
		constants: map[string]*constant{}, steps: maxSteps,
	}
	m.bindBlock(root, "")
	m.findChanges(root, false)
	return m, nil
}

// TreatAsRecord makes calls of the class with the dotted name evaluate to a
// dictionary of their keywords, as fits configuration classes.
func (m *Module) TreatAsRecord(dotted string) { m.records = append(m.records, dotted) }

func (m *Module) text(n *node) string { return string(m.src.text[n.start:n.end]) }

func (m *Module) line(n *node) int { return m.src.line(n.start) }

// cite names a place of this file.
func (m *Module) cite(line int) string { return fmt.Sprintf("%s:%d", m.file, line) }

// short returns an expression's text for use in a sentence.
func (m *Module) short(n *node) string { return excerpt(m.src.text[n.start:n.end]) }
