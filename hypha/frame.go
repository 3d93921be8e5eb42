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

// arguments are what the client takes out of `extra`: these keys and no others. The reference merges all of them, so that
// a sender could overwrite `from` there (hypha-protocol 2.1).
type arguments struct {
	args    []any
	kwargs  map[string]any
	promise bool          // an answer is wanted
	every   time.Duration // a heartbeat is wanted this often; 0 = none
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
		case "promise":
			d.promise(&a)
		case "t":
			value, _ := d.value(0)
			a.every = seconds(number(value), a.every)
		default:
			d.r.skip()
		}
	}
	if d.r.err != nil {
		return a, fmt.Errorf("read arguments: %w", d.r.err)
	}
	return a, a.splitKwargs(withKwargs)
}

// promise reads "*" or the long map, of which only the interval is news: its three functions are always
// <session>.resolve|reject|heartbeat of the sender (replica link 3).
func (d *decoder) promise(a *arguments) {
	head := d.r
	if t := head.next(); t.kind != kindMap {
		d.r.skip()
		a.promise = true
		return
	}
	a.promise = true
	for left := d.r.mapLen(); left > 0 && d.r.err == nil; left-- {
		if string(d.r.bytesOfString()) == "interval" {
			value, _ := d.value(1)
			a.every = seconds(number(value), a.every)
		} else {
			d.r.skip()
		}
	}
}

// shortestBeat keeps a caller from asking for a storm of heartbeats.
const shortestBeat = 100 * time.Millisecond

func seconds(v float64, otherwise time.Duration) time.Duration {
	if !(v > 0) || v > 1e6 {
		return otherwise
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
