package hypha

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// pythonProvider starts testdata/provider.py and returns its address.
func pythonProvider(t testing.TB, user string, args ...string) (p *peer, address string) {
	t.Helper()
	p = startPython(t, systems.Hypha(t), user, "provider.py", args...)
	address, ok := strings.CutPrefix(p.line(), "ready ")
	if !ok {
		t.Fatal("the Python provider did not come up")
	}
	return p, address
}

func TestCaller(t *testing.T) {
	t.Parallel()
	_, address := pythonProvider(t, "callee")
	c := mustConnect(t, account(t, systems.Hypha(t), "caller"))
	service, err := c.GetService(testContext(t), address+":py", GetServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*testing.T, *Client, *RemoteService){
		"values_come_back": callerValues, "kinds_in_Python": callerKinds, "arrays": callerArrays, "arguments": callerArguments,
		"errors": callerErrors, "callbacks": callerCallbacks, "returned_function": callerReturned, "members": callerMembers,
		"context": callerContext, "timeout_and_heartbeats": callerTimeout, "large_messages": callerLarge,
		"function_as_argument_goes_on_unchanged": callerForward,
	} {
		t.Run(name, func(t *testing.T) { test(t, c, service) })
	}
	if n := c.sessions.count(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func callerValues(t *testing.T, _ *Client, s *RemoteService) {
	for _, value := range []any{
		nil, true, false, int64(0), int64(127), int64(128), int64(-32), int64(-33), int64(math.MaxInt64), int64(math.MinInt64), uint64(math.MaxUint64),
		0.5, math.Inf(-1), "", "ü €😀", strings.Repeat("x", 70000), []byte{}, []byte{0, 255}, []any{}, map[string]any{},
		[]any{[]any{nil, int64(1)}, map[string]any{"a": []any{"b"}}}, MemoryView("abc"), Set{int64(1)},
		NDArray{DType: "uint8", Shape: []int{2, 2}, Data: []byte{1, 2, 3, 4}}, NDArray{DType: "float64", Shape: []int{}, Data: make([]byte, 8)},
	} {
		got, err := s.Call(testContext(t), "echo", value)
		if err != nil || !reflect.DeepEqual(got, value) {
			t.Errorf("%#v came back as %#v, %v", value, got, err)
		}
	}
}

func callerKinds(t *testing.T, _ *Client, s *RemoteService) {
	type named string
	for kind, value := range map[string]any{
		"NoneType": nil, "bool": true, "int": int8(3), "float": float32(2), "str": named("x"), "bytes": []byte("x"), "list": []string{"x"},
		"ObjectProxy": map[string]int{"x": 1}, "ndarray": NDArray{DType: "int16", Shape: []int{1}, Data: []byte{1, 0}}, "memoryview": MemoryView("x"), "set": Set{"x"},
	} {
		got, err := s.Call(testContext(t), "kinds", value)
		if err != nil || got != kind {
			t.Errorf("%#v is a %v in Python, want %s (%v)", value, got, kind, err)
		}
	}
}

func callerArrays(t *testing.T, _ *Client, s *RemoteService) {
	ctx := testContext(t)
	numbers := make([]byte, 0, 5_000_000)
	for i := range 625_000 {
		numbers = binary.LittleEndian.AppendUint64(numbers, math.Float64bits(float64(i)))
	}
	sum, err := s.Call(ctx, "total", NDArray{DType: "float64", Shape: []int{625, 1000}, Data: numbers})
	if err != nil || sum != 625000.0*624999/2 {
		t.Errorf("the sum of 5 MB is %v, %v", sum, err)
	}
	got, err := s.Call(ctx, "ones", 1_500_000)
	array, _ := got.(NDArray)
	if err != nil || array.DType != "float32" || !reflect.DeepEqual(array.Shape, []int{1_500_000}) || len(array.Data) != 6_000_000 {
		t.Errorf("6 MB of ones: %s %v, %d bytes, %v", array.DType, array.Shape, len(array.Data), err)
	}
}

func callerArguments(t *testing.T, _ *Client, s *RemoteService) {
	ctx := testContext(t)
	for _, args := range [][]any{{1, 2}, {1, Kwargs{"b": 2}}, {Kwargs{"a": 1, "b": 2}}} {
		if got, err := s.Call(ctx, "add", args...); err != nil || got != int64(3) {
			t.Errorf("add(%v) = %v, %v", args, got, err)
		}
	}
	if _, err := s.Call(ctx, "echo", make(chan int)); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("sending a channel: %v", err)
	}
}

func callerErrors(t *testing.T, _ *Client, s *RemoteService) {
	ctx := testContext(t)
	for member, want := range map[string]string{"fail_later": "ValueError: later", "fail_now": "'now'"} {
		_, err := s.Call(ctx, member)
		var remote *RemoteError
		if !errors.As(err, &remote) || remote.Error() != want || !strings.Contains(remote.Trace, "Traceback") {
			t.Errorf("%s: %#v", member, err)
		}
	}
	_, err := s.Call(ctx, "missing")
	var own *Error
	if !errors.As(err, &own) || own.Class != "AttributeError" {
		t.Errorf("a missing member: %v", err)
	}
	got, err := s.Call(ctx, "error_value")
	if remote, ok := got.(*RemoteError); err != nil || !ok || !strings.Contains(remote.Message, "as a value") {
		t.Errorf("an error as value: %#v, %v", got, err)
	}
}

func callerCallbacks(t *testing.T, c *Client, s *RemoteService) {
	ctx := testContext(t)
	var seen []int64
	square := Callback(func(_ context.Context, args []any, _ map[string]any) (any, error) {
		i, _ := args[0].(int64)
		seen = append(seen, i)
		return i * i, nil
	})
	got, err := s.Call(ctx, "run", square, 10)
	want := []any{int64(0), int64(1), int64(4), int64(9), int64(16), int64(25), int64(36), int64(49), int64(64), int64(81)}
	if err != nil || !reflect.DeepEqual(got, want) || len(seen) != 10 {
		t.Errorf("run: %v, %v, seen %v", got, err, seen)
	}
	failing := Callback(func(context.Context, []any, map[string]any) (any, error) { return nil, Errorf("IndexError", "no") })
	if _, err := s.Call(ctx, "run", failing, 1); err == nil || !strings.Contains(err.Error(), "IndexError: no") {
		t.Errorf("a failing callback: %v", err)
	}
	if _, err := s.Call(ctx, "keep", square); err != nil {
		t.Error(err)
	}
	if _, err := s.Call(ctx, "call_kept"); err == nil || !strings.Contains(err.Error(), "Session not found") {
		t.Errorf("a callback after its call: %v", err)
	}
}

func callerReturned(t *testing.T, _ *Client, s *RemoteService) {
	ctx := testContext(t)
	got, err := s.Call(ctx, "counter")
	step, ok := got.(*Function)
	if err != nil || !ok {
		t.Fatalf("counter: %T, %v", got, err)
	}
	for want := int64(2); want <= 6; want += 2 {
		if n, err := step.Call(ctx, Kwargs{"by": 2}); err != nil || n != want {
			t.Errorf("step: %v, %v, want %d", n, err, want)
		}
	}
}

func callerMembers(t *testing.T, _ *Client, s *RemoteService) {
	if got, err := s.Call(testContext(t), "nest.list.1"); err != nil || got != "one" {
		t.Errorf("nest.list.1: %v, %v", got, err)
	}
}

func callerContext(t *testing.T, c *Client, s *RemoteService) {
	got, err := s.Call(testContext(t), "who")
	who, _ := got.(map[string]any)
	if err != nil || who["from"] != c.Address() || who["ws"] != c.Info().Workspace || who["to"] != strings.TrimSuffix(s.ID(), ":py") {
		t.Errorf("who: %v, %v", got, err)
	}
}

func callerTimeout(t *testing.T, _ *Client, s *RemoteService) {
	config := account(t, systems.Hypha(t), "caller")
	config.MethodTimeout = time.Second
	c := mustConnect(t, config)
	impatient, err := c.GetService(testContext(t), s.ID(), GetServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := impatient.Call(testContext(t), "slow", 3); err != nil || got != "done" {
		t.Errorf("a long call with heartbeats: %v, %v", got, err)
	}
	start := time.Now()
	_, err = c.Call(testContext(t), "ws-user-caller/never-seen", "services.x.y")
	if !errors.Is(err, ErrTimeout) || time.Since(start) > 10*time.Second {
		t.Errorf("nobody there: %v after %s", err, time.Since(start))
	}
	ctx, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	if _, err := impatient.Call(ctx, "slow", 3); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a cancelled call: %v", err)
	}
}

func callerLarge(t *testing.T, _ *Client, s *RemoteService) {
	for _, size := range []int{262_144, 263_168, 5_000_000} {
		data := bytes.Repeat([]byte("0123456789"), size/10)
		got, err := s.Call(testContext(t), "echo", data)
		if echoed, _ := got.([]byte); err != nil || !bytes.Equal(echoed, data) {
			t.Errorf("%d bytes came back as %d, %v", size, len(echoed), err)
		}
	}
}

// callerForward gives a Python function to Python as an argument: the reference must go on unchanged.
func callerForward(t *testing.T, _ *Client, s *RemoteService) {
	add, err := s.Function("add")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Call(testContext(t), "run", add, 2)
	if err != nil || !reflect.DeepEqual(got, []any{int64(10), int64(11)}) {
		t.Errorf("run(add): %v, %v", got, err)
	}
}

func TestRemoteService_is_fetched_again_after_its_provider_restarted(t *testing.T) {
	t.Parallel()
	first, address := pythonProvider(t, "restarting")
	c := mustConnect(t, account(t, systems.Hypha(t), "restarting"))
	ctx := testContext(t)
	service, err := c.GetService(ctx, "py", GetServiceOptions{})
	if err != nil || service.ID() != address+":py" {
		t.Fatalf("%v, %v", service, err)
	}
	first.tell("leave")
	first.line()
	_, second := pythonProvider(t, "restarting")
	if got, err := service.Call(ctx, "add", 1, 2); err != nil || got != int64(3) {
		t.Errorf("after the restart: %v, %v", got, err)
	}
	if service.ID() != second+":py" {
		t.Errorf("the service is %s, want one of %s", service.ID(), second)
	}
}

func TestCall_fails_when_the_peer_leaves(t *testing.T) {
	t.Parallel()
	_, address := pythonProvider(t, "leaving")
	c := mustConnect(t, account(t, systems.Hypha(t), "leaving"))
	start := time.Now()
	_, err := c.Call(testContext(t), address, "services.py.hang_up", 0.5)
	if !errors.Is(err, ErrPeerGone) || time.Since(start) > 20*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestGetService_takes_every_form_of_id(t *testing.T) {
	_, address := pythonProvider(t, "forms")
	c := mustConnect(t, account(t, systems.Hypha(t), "forms"))
	workspace, client, _ := strings.Cut(address, "/")
	for _, id := range []string{
		"py", client + ":py", workspace + "/py", workspace + "/*:py", address + ":py", systems.Hypha(t).URL + "/" + workspace + "/services/" + client + ":py",
	} {
		service, err := c.GetService(testContext(t), id, GetServiceOptions{Timeout: 5 * time.Second})
		if err != nil || service.ID() != address+":py" {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{"nothing", "ws-user-nobody/nothing"} {
		_, err := c.GetService(testContext(t), id, GetServiceOptions{})
		var remote *RemoteError
		if !errors.As(err, &remote) || !strings.Contains(remote.Error(), "not found") && remote.Class != "PermissionError" {
			t.Errorf("%s: %v", id, err)
		}
	}
	manager, err := c.GetService(testContext(t), "~", GetServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := manager.Call(testContext(t), "echo", "x"); err != nil || got != "x" {
		t.Errorf("the manager's echo: %v, %v", got, err)
	}
}
