package server

import (
	"testing"
	"testing/synctest"
	"time"
)

// While a layer is compiled the one before it decides; one that is compiled for too
// long stops what rests on it.
func TestACompilationPausesNothingUntilItTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &layers{}
		if l.Decide(0) {
			t.Error("decided by no layers")
		}
		l.set(3)
		if !l.Decide(3) {
			t.Error("undecided by the layers of the directory")
		}
		l.compiling()
		<-time.After(layersGrace - 1)
		if !l.Decide(5) {
			t.Error("a compilation paused a decision")
		}
		<-time.After(1)
		if l.Decide(5) {
			t.Error("decided by layers of before the grace")
		}
		if !l.Decide(3) {
			t.Error("undecided at a state that the layers belong to")
		}

		began := time.Now()
		go func() {
			<-time.After(time.Second)
			l.set(5)
		}()
		if l.Wait(t.Context(), 5); time.Since(began) != time.Second || !l.Decide(5) {
			t.Errorf("waited %v for layers that were there after a second", time.Since(began))
		}
		began = time.Now()
		if l.Wait(t.Context(), 7); time.Since(began) != layersGrace {
			t.Errorf("waited %v for layers that do not come", time.Since(began))
		}
	})
}
