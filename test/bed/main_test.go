package bed

import (
	"context"
	"fmt"
	"os"
	"testing"
)

var systems Shared

// TestMain also is the process that TestOwner kills: one that starts everything and then hangs.
func TestMain(m *testing.M) {
	if os.Getenv("BED_TEST_VICTIM") != "" {
		hang()
	}
	os.Exit(systems.Main(m))
}

func hang() {
	ctx := context.Background()
	c, err := StartCluster(ctx, ClusterConfig{Nodes: 1})
	if err == nil {
		var h *Hypha
		if h, err = StartHypha(ctx, HyphaConfig{Host: c.OuterIP()}); err == nil {
			fmt.Println(c.run, h.run)
			select {}
		}
	}
	fmt.Println(err)
	os.Exit(1)
}
