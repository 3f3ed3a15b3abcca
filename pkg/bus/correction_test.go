package bus_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
)

var correctionSteps = []bus.CorrectionStep{
	bus.CorrectionReport, bus.CorrectionWithdraw, bus.CorrectionPass, bus.CorrectionFail, bus.CorrectionAccept, bus.CorrectionConfirm,
	bus.CorrectionCorrect, bus.CorrectionExplain, bus.CorrectionDispute, bus.CorrectionSettle, bus.CorrectionUphold, bus.CorrectionReject,
}

func TestTheLifeOfACorrection(t *testing.T) {
	for _, tc := range []struct {
		name   string
		steps  []bus.CorrectionStep
		want   bus.CorrectionState
		open   bool
		rounds int
	}{
		{"reported", []bus.CorrectionStep{"report"}, bus.CorrectionOpen, true, 1},
		{"confirmed: the term goes on", []bus.CorrectionStep{"report", "confirm"}, bus.CorrectionConfirmed, true, 1},
		{"corrected", []bus.CorrectionStep{"report", "correct"}, bus.CorrectionCorrected, true, 1},
		{"fixed", []bus.CorrectionStep{"report", "confirm", "correct", "pass"}, bus.CorrectionFixed, false, 1},
		{"the retest failed: a new term", []bus.CorrectionStep{"report", "correct", "fail"}, bus.CorrectionConfirmed, true, 2},
		{"an explanation accepted", []bus.CorrectionStep{"report", "explain", "accept"}, bus.CorrectionAccepted, false, 1},
		{"the provider thinks again", []bus.CorrectionStep{"report", "explain", "correct", "pass"}, bus.CorrectionFixed, false, 1},
		{"upheld: a new term", []bus.CorrectionStep{"report", "explain", "dispute", "uphold"}, bus.CorrectionConfirmed, true, 2},
		{"rejected", []bus.CorrectionStep{"report", "explain", "dispute", "reject"}, bus.CorrectionAccepted, false, 1},
		{"settled", []bus.CorrectionStep{"report", "explain", "dispute", "settle"}, bus.CorrectionExplained, true, 1},
		{"withdrawn", []bus.CorrectionStep{"report", "confirm", "withdraw"}, bus.CorrectionWithdrawn, false, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := bus.Correction{}
			for _, step := range tc.steps {
				var err error
				if c, err = c.After(bus.CorrectionAct{Step: step, At: time.Unix(int64(len(c.Steps)), 0), Text: "样例"}); err != nil {
					t.Fatal(err)
				}
			}
			if c.State != tc.want || c.Open() != tc.open || len(c.Rounds()) != tc.rounds {
				t.Errorf("it is %s, open %v, %d rounds", c.State, c.Open(), len(c.Rounds()))
			}
		})
	}
}

// No sequence of steps comes to what decree 809 art. 26 forbids:
//   - a doubt that is closed without the provider's feedback, unless withdrawn;
//   - a confirmed error that is closed without a retest;
//   - an explanation that stands against the consumer without their acceptance or
//     the authority's ruling;
//   - a term that is longer than one of ten working days, or stops without feedback:
//     it runs from the newest report, failed retest or upheld dispute, and from
//     nothing else.
func TestNoStepsBreakArticle26(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := bus.Correction{}
		var done []bus.CorrectionAct
		for i := range rapid.IntRange(12, 60).Draw(t, "steps") {
			act := bus.CorrectionAct{
				Step: rapid.SampledFrom(correctionSteps).Draw(t, "step"), At: time.Unix(int64(i), 0), Text: rapid.SampledFrom([]string{"样例", "样例", ""}).Draw(t, "text"),
			}
			next, err := c.After(act)
			if err != nil {
				if next.State != c.State || len(next.Steps) != len(c.Steps) {
					t.Fatalf("a refused %s changed something", act.Step)
				}
				continue
			}
			done = append(done, act)
			c = next
			article26(t, c, done)
		}
	})
}

func article26(t *rapid.T, c bus.Correction, done []bus.CorrectionAct) {
	has := func(steps ...bus.CorrectionStep) bool {
		return slices.ContainsFunc(done, func(a bus.CorrectionAct) bool { return slices.Contains(steps, a.Step) })
	}
	last := done[len(done)-1].Step
	if !slices.EqualFunc(c.Steps, done, func(a, b bus.CorrectionAct) bool { return a.Step == b.Step && a.At.Equal(b.At) }) {
		t.Fatal("a step was not kept")
	}
	if !c.Open() && c.State != bus.CorrectionWithdrawn && !has(bus.CorrectionCorrect, bus.CorrectionExplain) {
		t.Fatalf("closed as %s without feedback", c.State)
	}
	if c.State == bus.CorrectionFixed && last != bus.CorrectionPass {
		t.Fatal("fixed without a retest")
	}
	if c.State == bus.CorrectionAccepted && last != bus.CorrectionAccept && last != bus.CorrectionReject {
		t.Fatal("an explanation stands that nobody accepted or upheld")
	}
	confirmed := false // since the last time that it was wholly answered
	for _, a := range done {
		switch a.Step {
		case bus.CorrectionConfirm, bus.CorrectionCorrect, bus.CorrectionFail, bus.CorrectionUphold:
			confirmed = true
		}
	}
	if confirmed && c.State == bus.CorrectionAccepted {
		t.Fatal("a confirmed error was closed as none")
	}
	var start time.Time
	for _, a := range done {
		switch a.Step {
		case bus.CorrectionReport, bus.CorrectionFail, bus.CorrectionUphold:
			start = a.At
		}
	}
	awaited := c.State == bus.CorrectionOpen || c.State == bus.CorrectionConfirmed
	if got, ok := c.Running(); ok != awaited || ok && !got.Equal(start) {
		t.Fatalf("in state %s a term runs (%v) from %v, want %v", c.State, ok, got, start)
	}
	rounds := c.Rounds()
	if answered := rounds[len(rounds)-1].Answered != nil; awaited == answered && c.State != bus.CorrectionWithdrawn {
		t.Fatalf("in state %s the last round is answered: %v", c.State, answered)
	}
}

func TestWhatIsNoPlaceForPersonalInformation(t *testing.T) {
	for text, bad := range map[string]bool{
		"":                                 false,
		"代码与证照不符":                          false,
		"身份证号 11010519491231002X 有误":       true,
		"身份证号 11010519491231002x 有误":       true,
		"联系 13800000000":                   true,
		"批次 20260304120000 第 7 行":          false, // no mobile number, no date of birth
		"部门 114400000069401674":            false, // a USCC of digits only
		"110105194912310021":               false, // a wrong check digit
		"9f86d081884c7d659a2feaa0c55ad015": false,
	} {
		if got := len(bus.CheckImpersonal("text", text)) > 0; got != bad {
			t.Errorf("%q is refused: %v", text, got)
		}
	}
	digest := "sha256:" + "13800000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	c := bus.Correction{ID: "c1", Resource: "r", Items: []bus.ItemID{"a"}, Description: "样例", Record: digest}
	if defects := c.Check(); len(defects) > 0 {
		t.Errorf("a digest is refused: %+v", defects)
	}
}
