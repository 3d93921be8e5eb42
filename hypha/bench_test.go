package hypha

import (
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/test/bed"
)

// benchPair is a provider of the echo and mirror services and a caller, at a server whose limits are out of the way.
func benchPair(b *testing.B) (provider, caller *Client) {
	h := startOwnHypha(b, bed.HyphaConfig{Env: map[string]string{"HYPHA_WS_MSG_RATE_LIMIT": "1000000", "HYPHA_WS_MSG_BURST_LIMIT": "1000000"}})
	m := newMirror(b)
	config := account(b, h, "bench")
	config.Limits.MessagesPerSecond, config.Limits.MessageBurst = 1e6, 1e6
	callerConfig := config
	config.Router = m
	provider, caller = mustConnect(b, config), mustConnect(b, callerConfig)
	m.client = provider
	m.forgetful = true
	if err := provider.Register(testContext(b), echoService("echo")); err != nil {
		b.Fatal(err)
	}
	if err := provider.RegisterOpaque(testContext(b), mirrorService("mirror", "public")(provider)); err != nil {
		b.Fatal(err)
	}
	return provider, caller
}

func BenchmarkRoundTrip(b *testing.B) {
	provider, caller := benchPair(b)
	for name, value := range map[string]any{"one_int": 1, "1_KB": make([]byte, 1000), "1_MB": make([]byte, 1e6), "5_MB": make([]byte, 5e6)} {
		for _, service := range []string{"echo", "mirror"} {
			b.Run(service+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := caller.Call(b.Context(), provider.Address(), "services."+service+".echo", value); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkRoundTrip_of_32_callers(b *testing.B) {
	provider, caller := benchPair(b)
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := caller.Call(b.Context(), provider.Address(), "services.mirror.echo", 1); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
