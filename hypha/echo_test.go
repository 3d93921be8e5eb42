package hypha

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// echoService is what the peers of the tests call; its methods are the promises of a provider.
func echoService(id string) Service {
	return Service{
		ID: id, Description: "gives back what it gets", Config: map[string]any{"visibility": "public", "color": "blue"},
		Methods: []Method{
			{Name: "echo", Doc: "Give the value back.", Params: []Param{{Name: "value", Required: true, Description: "anything"}}, Handler: echo},
			{Name: "add", Doc: "Add two numbers.", Params: []Param{
				{Name: "a", Type: "integer", Required: true, Description: "the first"},
				{Name: "b", Type: "integer", Default: 10, Description: "the second"},
			}, Handler: add},
			{Name: "fail", Params: []Param{{Name: "class", Type: "string", Default: ""}}, Handler: fail},
			{Name: "progress", Params: []Param{{Name: "callback", Required: true}, {Name: "times", Type: "integer", Default: 5}}, Handler: progress},
			{Name: "counter", Handler: counter},
			{Name: "whoami", Handler: whoami},
			{Name: "apply", Params: []Param{{Name: "f", Required: true}, {Name: "x", Required: true}}, Handler: apply},
			{Name: "slow", Params: []Param{{Name: "seconds", Type: "number", Required: true}}, Handler: slow},
			{Name: "big", Params: []Param{{Name: "size", Type: "integer", Required: true}}, Handler: big},
			{Name: "nest.deep.hello", Doc: "A member of a member.", Params: []Param{{Name: "name", Type: "string", Default: "you"}}, Handler: hello},
		},
	}
}

func echo(_ context.Context, r *Request) (any, error) { return r.Args["value"], nil }

func hello(_ context.Context, r *Request) (any, error) {
	return fmt.Sprintf("hello %v", r.Args["name"]), nil
}

func add(_ context.Context, r *Request) (any, error) {
	return int64(number(r.Args["a"])) + int64(number(r.Args["b"])), nil
}

func fail(_ context.Context, r *Request) (any, error) {
	if class, _ := r.Args["class"].(string); class != "" {
		return nil, Errorf(class, "as you wish")
	}
	return nil, errors.New("plain failure")
}

func progress(ctx context.Context, r *Request) (any, error) {
	f, ok := r.Args["callback"].(*Function)
	if !ok {
		return nil, Errorf("TypeError", "callback is a %T", r.Args["callback"])
	}
	var last any
	for i := range int64(number(r.Args["times"])) {
		var err error
		if last, err = f.Call(ctx, i); err != nil {
			return nil, err
		}
	}
	return last, nil
}

func counter(context.Context, *Request) (any, error) {
	var n atomic.Int64
	return map[string]any{"next": Callback(func(_ context.Context, args []any, kwargs map[string]any) (any, error) {
		step := int64(1)
		if v, ok := kwargs["step"].(int64); ok {
			step = v
		}
		return n.Add(step), nil
	})}, nil
}

func whoami(_ context.Context, r *Request) (any, error) {
	return map[string]any{
		"from": r.Caller.From, "ws": r.Caller.Workspace, "id": r.Caller.User.ID, "email": r.Caller.User.Email, "raw": r.Caller.Raw,
	}, nil
}

func apply(ctx context.Context, r *Request) (any, error) {
	f, ok := r.Args["f"].(*Function)
	if !ok {
		return nil, Errorf("TypeError", "f is a %T", r.Args["f"])
	}
	return f.Call(ctx, r.Args["x"])
}

func slow(ctx context.Context, r *Request) (any, error) {
	select {
	case <-time.After(time.Duration(number(r.Args["seconds"]) * float64(time.Second))):
		return "done", nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func big(_ context.Context, r *Request) (any, error) {
	data := make([]byte, int(number(r.Args["size"])))
	for i := range data {
		data[i] = byte(i * 7)
	}
	return data, nil
}

func echoArgument(_ context.Context, args []any, _ map[string]any) (any, error) { return args[0], nil }
