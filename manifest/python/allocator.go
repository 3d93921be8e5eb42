package python

// void ts_set_allocator(void *, void *, void *, void *);
import "C"

// The Go binding of tree-sitter sends every allocation through Go and back,
// which costs more than the parsing. This gives the library plain malloc again;
// both free each other's memory.
func init() { C.ts_set_allocator(nil, nil, nil, nil) }
