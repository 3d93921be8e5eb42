package hypha

import "sync/atomic"

// Stats are counters since Connect.
type Stats struct {
	FramesIn, FramesOut, BytesIn, BytesOut int64
	// DecodedCallBytes counts bytes of arguments that were decoded although they belong to the Router (must stay 0).
	DecodedCallBytes int64
	// DroppedReplies counts small answers that found their queue full, RefusedCalls calls beyond Limits.Handlers.
	DroppedReplies, RefusedCalls int64
	// Reconnects counts connections after the first.
	Reconnects int64
	// Sessions are our open calls, and answers of handlers that hold functions.
	Sessions int64
	// BufferedMemory and BufferedDisk are bytes of chunked messages held now.
	BufferedMemory, BufferedDisk int64
}

type counters struct {
	framesIn, framesOut, bytesIn, bytesOut   atomic.Int64
	decodedCallBytes                         atomic.Int64
	droppedReplies, refusedCalls, reconnects atomic.Int64
}

func (s *counters) in(bytes int) {
	s.framesIn.Add(1)
	s.bytesIn.Add(int64(bytes))
}

func (s *counters) out(bytes int) {
	s.framesOut.Add(1)
	s.bytesOut.Add(int64(bytes))
}

// Stats returns the counters.
func (c *Client) Stats() Stats {
	memory, disk := c.chunks.held()
	return Stats{
		FramesIn: c.stats.framesIn.Load(), FramesOut: c.stats.framesOut.Load(),
		BytesIn: c.stats.bytesIn.Load(), BytesOut: c.stats.bytesOut.Load(),
		DecodedCallBytes: c.stats.decodedCallBytes.Load(), DroppedReplies: c.stats.droppedReplies.Load(),
		RefusedCalls: c.stats.refusedCalls.Load(), Reconnects: c.stats.reconnects.Load(),
		Sessions: int64(c.sessions.count()), BufferedMemory: memory, BufferedDisk: disk,
	}
}
