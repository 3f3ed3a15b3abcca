package state_test

import (
	"flag"

	"github.com/gxbus/gxbus/pkg/internal/raced"
)

// Under the race detector rapid tries a quarter; -rapid.checks still says otherwise.
func init() {
	if raced.Enabled {
		if err := flag.Set("rapid.checks", "25"); err != nil {
			panic(err)
		}
	}
}
