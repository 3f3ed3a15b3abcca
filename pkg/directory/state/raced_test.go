package state_test

import (
	"os"
	"testing"

	"github.com/gxbus/gxbus/pkg/raced"
)

func TestMain(m *testing.M) {
	raced.FewerChecks()
	os.Exit(m.Run())
}
