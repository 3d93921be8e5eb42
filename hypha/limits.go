package hypha

import "time"

// Limits bound what peers can make the client hold and how fast it sends. Zero fields take the default.
type Limits struct {
	// SpoolDir is where messages above SpoolAboveBytes are kept in unlinked files; default the system's temporary folder.
	SpoolDir string
	// MaxMessageBytes bounds one message that arrives in chunks, and one that is sent (256 MiB).
	MaxMessageBytes int64
	// SpoolAboveBytes is the size above which a message goes to a file (4 MiB).
	SpoolAboveBytes int64
	// MaxMemoryBytes bounds all chunked messages held in memory (64 MiB); beyond, smaller ones go to files too.
	MaxMemoryBytes int64
	// MaxDiskBytes bounds all spool files together (4 GiB); beyond, chunks are refused with an error.
	MaxDiskBytes int64
	// BuffersPerSender is how many chunked messages one peer may have open (16).
	BuffersPerSender int
	// BufferIdle frees a chunked message to which nothing was added for this long (60 s).
	BufferIdle time.Duration
	// Handlers is how many calls of own services may run at once (512); more are refused with an error.
	Handlers int
	// ChunkBytes is the size of the pieces in which larger messages are sent (262144). Python peers lose messages above 512 KiB.
	ChunkBytes int
	// MessagesPerSecond and MessageBurst keep the client below the server's limit of 200/s and 2000 (190, 1800).
	MessagesPerSecond float64
	MessageBurst      int
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.MaxMessageBytes, 256<<20)
	setDefault(&l.SpoolAboveBytes, 4<<20)
	setDefault(&l.MaxMemoryBytes, 64<<20)
	setDefault(&l.MaxDiskBytes, 4<<30)
	setDefault(&l.BuffersPerSender, 16)
	setDefault(&l.BufferIdle, time.Minute)
	setDefault(&l.Handlers, 512)
	setDefault(&l.ChunkBytes, 256<<10)
	setDefault(&l.MessagesPerSecond, 190)
	setDefault(&l.MessageBurst, 1800)
	return l
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
