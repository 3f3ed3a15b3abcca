package server

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// A report is told of while it is made, stage by stage, and is not made twice at a time.
func TestHowFarAReportHasComeIsToldWhileItIsMade(t *testing.T) {
	s := &Server{}
	told, err := s.reporting.begin("q1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.reporting.begin("q1"); bus.CodeOf(err) != bus.CodeExists {
		t.Errorf("made twice at a time: %v", err)
	}
	tells := func(want client.EvaluationProgress) {
		t.Helper()
		if at, ok := s.EvaluationProgress("q1"); !ok || at != want {
			t.Errorf("%v %+v, want %+v", ok, at, want)
		}
	}
	tells(client.EvaluationProgress{})
	told.stage(client.StageCollect, 14)
	told.add(7)
	told.add(3)
	tells(client.EvaluationProgress{Stage: client.StageCollect, Done: 10, Of: 14})
	told.stage(client.StageCompute, 0)
	tells(client.EvaluationProgress{Stage: client.StageCompute})
	if _, ok := s.EvaluationProgress("q2"); ok {
		t.Error("tells of another report")
	}
	told.end()
	if at, ok := s.EvaluationProgress("q1"); ok {
		t.Errorf("it is done, and tells %+v", at)
	}
	if _, err := s.reporting.begin("q1"); err != nil {
		t.Errorf("after it failed it cannot be made again: %v", err)
	}
	var nobody *steps
	nobody.stage(client.StageRead, 1)
	nobody.add(1)
}
