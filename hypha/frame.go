package hypha

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// inbound is a frame that belongs to the client itself, on its way to a handler or a waiting call.
type inbound struct {
	conn    *connection
	header  Header
	extra   Payload
	release func()
}

// arguments are what the client takes out of `extra`; of its other keys only promise and t are read, by PromiseInterval. The
// reference merges all of them into the message, so that a sender could overwrite `from` there (hypha-protocol 2.1).
type arguments struct {
	args   []any
	kwargs map[string]any
}

func nothing() {}

// bytes returns the payload in memory.
func (p Payload) bytes() ([]byte, error) {
	if p.Reader == nil {
		return p.Data, nil
	}
	b := make([]byte, p.Size)
	if _, err := io.ReadFull(p.Reader, b); err != nil {
		return nil, fmt.Errorf("read the spooled message: %w", err)
	}
	return b, nil
}

// decode reads arguments. peer is whose functions they may hold; parent is the session of the call they came with.
func (c *Client) decode(in *inbound) (arguments, error) {
	var a arguments
	b, err := in.extra.bytes()
	if err != nil || len(b) == 0 {
		return a, err
	}
	if c.registry.isRouted(in.header.Method) {
		c.stats.decodedCallBytes.Add(int64(len(b)))
	}
	d := decoder{r: unpacker{buf: b}, function: c.functionsOf(in.header.From, in.header.Session)}
	withKwargs := false
	for left := d.r.mapLen(); left > 0 && d.r.err == nil; left-- {
		switch string(d.r.bytesOfString()) {
		case "args":
			value, _ := d.value(0)
			a.args, _ = value.([]any)
		case "with_kwargs":
			value, _ := d.value(0)
			withKwargs, _ = value.(bool)
		default:
			d.r.skip()
		}
	}
	if d.r.err != nil {
		return a, fmt.Errorf("read arguments: %w", d.r.err)
	}
	return a, a.splitKwargs(withKwargs)
}

// shortestBeat keeps a caller from asking for a storm of heartbeats.
const shortestBeat = 100 * time.Millisecond

// seconds is the duration of an interval; what is none is 0.
func seconds(v float64) time.Duration {
	if !(v > 0) || v > 1e6 {
		return 0
	}
	return max(time.Duration(v*float64(time.Second)), shortestBeat)
}

func (a *arguments) splitKwargs(with bool) error {
	if !with {
		return nil
	}
	if len(a.args) == 0 {
		return errors.New("with_kwargs without arguments")
	}
	last := len(a.args) - 1
	kwargs, ok := a.args[last].(map[string]any)
	if !ok {
		return errors.New("with_kwargs without a map")
	}
	a.args, a.kwargs = a.args[:last], kwargs
	return nil
}
