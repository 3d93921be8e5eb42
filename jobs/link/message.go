package link

import "io"

// Message is one Hypha message to or from a replica. Its bytes on the wire are Head then Data, or Head then Reader.
//
// Received messages have no Head: those of at most SmallMessage bytes lie in Data, which belongs to the handler; larger
// ones are in Reader, valid until Handler.Message returns.
type Message struct {
	Replica string // tag
	Call    string // "<peer>\x00<session>" of the call it belongs to, opaque here, at most 65,535 bytes; or ""
	Opens   bool   // to the replica: starts call Call
	Ends    bool   // from the replica: settles call Call

	Head   []byte
	Data   []byte
	Reader io.Reader // instead of Data; Size bytes, and an error when it holds fewer
	Size   int64     // bytes of Reader
}

// Len is the number of payload bytes.
func (m *Message) Len() int64 {
	if m.Reader != nil {
		return int64(len(m.Head)) + m.Size
	}
	return int64(len(m.Head) + len(m.Data))
}
