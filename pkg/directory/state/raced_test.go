package state_test

import (
	"flag"
	"os"
	"testing"

	"github.com/gxbus/gxbus/pkg/internal/raced"
)

// TestMain has rapid try a quarter under the race detector; -rapid.checks still says
// otherwise.
func TestMain(m *testing.M) {
	if raced.Enabled {
		if err := flag.Set("rapid.checks", "25"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
