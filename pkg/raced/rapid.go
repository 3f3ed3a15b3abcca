package raced

import "flag"

// FewerChecks has rapid try a quarter of its cases under the race detector;
// -rapid.checks still says otherwise. It is for TestMain.
func FewerChecks() {
	if !Enabled {
		return
	}
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err) // the tests that ask for it use rapid
	}
}
