package hypha

import (
	"context"

	"github.com/vmihailenco/msgpack/v5"
)

// Values that travel both ways, in arguments and results:
//
//	nil, bool, int64, uint64 (above the range of int64), float64, string, []byte, []any, map[string]any
//	NDArray, TypedArray, MemoryView, Set, OrderedMap
//	time.Time       a JavaScript Date; sent as RFC 3339 text, since Python peers take no dates
//	*Function       a function of a peer; sent on unchanged
//	Callback        a function of ours; its reference is sent (hypha-protocol 3.1)
//	*RemoteError    an error as a value
//	Raw             msgpack bytes spliced in as they are (sent only)
//
// Sending also takes every other integer, float and string kind, slices, arrays, maps with string keys and pointers of
// these. A map with an unknown `_rtype` stays a map.

// NDArray is a dense array in C order, little endian.
type NDArray struct {
	// DType is the numpy name, such as "float32", "uint8", "bool" or "<U3".
	DType string
	// Shape is empty for a single number.
	Shape []int
	Data  []byte
}

// TypedArray is a JavaScript typed array other than Uint8Array (which is []byte).
type TypedArray struct {
	DType string
	Data  []byte
}

// MemoryView is a Python memoryview, or a JavaScript ArrayBuffer or DataView.
type MemoryView []byte

// Set is a Python or JavaScript set, in the order the sender chose.
type Set []any

// Pair is one entry of an OrderedMap.
type Pair struct{ Key, Value any }

// OrderedMap is a JavaScript Map: keys of any kind, in order of insertion.
type OrderedMap []Pair

// Raw is a packed msgpack value.
type Raw = msgpack.RawMessage

// Kwargs as the last argument of a call are its keyword arguments.
type Kwargs map[string]any

// Callback is a function of ours that a peer may call while the call it was passed in is open, or for 600 s after its
// last use when it was returned by a handler. Only the peer it was given to may call it. Calls of one Callback run one
// after the other, in order of arrival; it must not wait for another call of itself. kwargs is nil when the peer sent none.
type Callback func(ctx context.Context, args []any, kwargs map[string]any) (any, error)
