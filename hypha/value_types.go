package hypha

// typed turns a map with `_rtype` into its Go value. A malformed or unknown one stays the map it is, as in the other
// clients.
func (d *decoder) typed(rtype string, fields map[string]any) any {
	value, ok := any(nil), false
	switch rtype {
	case "method":
		value, ok = d.method(fields)
	case "ndarray":
		value, ok = ndarrayOf(fields)
	case "typedarray":
		value, ok = typedArrayOf(fields)
	case "memoryview":
		var data []byte
		data, ok = fields["_rvalue"].([]byte)
		value = MemoryView(data)
	case "set":
		var items []any
		items, ok = fields["_rvalue"].([]any)
		value = Set(items)
	case "orderedmap":
		value, ok = orderedMapOf(fields)
	case "error":
		value, ok = remoteErrorOf(fields)
	}
	if !ok {
		return fields
	}
	return value
}

func (d *decoder) method(fields map[string]any) (any, bool) {
	if d.function == nil {
		return nil, false
	}
	f := d.function(fields)
	return f, f != nil
}

func ndarrayOf(fields map[string]any) (any, bool) {
	data, ok := pieces(fields["_rvalue"])
	dtype, isText := fields["_rdtype"].(string)
	dims, isList := fields["_rshape"].([]any)
	if !ok || !isText || !isList {
		return nil, false
	}
	shape := make([]int, len(dims))
	for i, dim := range dims {
		n, isInt := dim.(int64)
		if !isInt || n < 0 {
			return nil, false
		}
		shape[i] = int(n)
	}
	return NDArray{DType: dtype, Shape: shape, Data: data}, true
}

// pieces joins the bytes of an array, which some senders split into a list.
func pieces(v any) ([]byte, bool) {
	list, ok := v.([]any)
	if !ok {
		data, isBytes := v.([]byte)
		return data, isBytes
	}
	var all []byte
	for _, item := range list {
		piece, isBytes := item.([]byte)
		if !isBytes {
			return nil, false
		}
		all = append(all, piece...)
	}
	return all, true
}

func typedArrayOf(fields map[string]any) (any, bool) {
	data, ok := fields["_rvalue"].([]byte)
	dtype, isText := fields["_rdtype"].(string)
	return TypedArray{DType: dtype, Data: data}, ok && isText
}

func orderedMapOf(fields map[string]any) (any, bool) {
	list, ok := fields["_rvalue"].([]any)
	if !ok {
		return nil, false
	}
	entries := make(OrderedMap, len(list))
	for i, item := range list {
		pair, isPair := item.([]any)
		if !isPair || len(pair) != 2 {
			return nil, false
		}
		entries[i] = Pair{Key: pair[0], Value: pair[1]}
	}
	return entries, true
}

func remoteErrorOf(fields map[string]any) (any, bool) {
	value, ok := fields["_rvalue"].(string)
	trace, _ := fields["_rtrace"].(string)
	return parseRemoteError(value, trace), ok
}
