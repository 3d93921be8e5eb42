// Package python reads Python source without running it. It owns the grammar
// (tree-sitter), the table of what a module binds at its top level, and a small
// evaluator of constant expressions; it knows nothing of Ray or BioEngine.
//
// Main type: Module, made by Parse. A Module is plain Go data: the C tree is
// walked once by cursor, copied, and freed before Parse returns.
//
// Parse may spend much time and memory on hostile source and runs C code, so
// package manifest, its only importer, calls it in a child process with limits.
package python
