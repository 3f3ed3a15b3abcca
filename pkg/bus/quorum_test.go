package bus_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

// standings reads "A* B* C+ D- E*-": * votes, - does not answer, ~ is far behind.
func standings(text string) []bus.Standing {
	var members []bus.Standing
	for _, word := range strings.Fields(text) {
		s := bus.Standing{Node: bus.NodeID(strings.TrimRight(word, "*-~")), Live: !strings.Contains(word, "-"), Voter: strings.Contains(word, "*")}
		if strings.Contains(word, "~") {
			s.Lag = bus.CloseBehind + 1
		}
		members = append(members, s)
	}
	return members
}

func TestAStepIsSafeWhileTheReadyVotersMakeAMajority(t *testing.T) {
	const safe, forced, never = "safe", "with force", "never"
	for _, c := range []struct {
		members string
		step    bus.Step
		node    bus.NodeID
		quorum  string // ready/needed of voters, missing
		verdict string
		warned  string
	}{
		{"a*", bus.StepDemote, "a", "0/1 of 0", never, ""},
		{"a*", bus.StepRemove, "a", "0/1 of 0", never, ""},
		{"a* b", bus.StepRemove, "a", "0/1 of 0", never, ""},
		{"a* b", bus.StepRemove, "b", "1/1 of 1", safe, ""}, // a non-voter's leaving changes nothing
		{"a* b-", bus.StepRemove, "b", "1/1 of 1", safe, ""},
		{"a* b", bus.StepPromote, "b", "2/2 of 2", safe, "even loss"},
		{"a* b~", bus.StepPromote, "b", "2/2 of 2", forced, "even loss"},
		{"a* b-", bus.StepPromote, "b", "2/2 of 2", forced, "even loss"},
		{"a*", bus.StepPromote, "c", "2/2 of 2", forced, "even loss"}, // not in the group yet
		{"a* b* c", bus.StepPromote, "c", "3/2 of 3", safe, ""},
		{"a* b*- c", bus.StepPromote, "c", "2/2 of 3 b", safe, "loss"}, // how one that is lost is replaced
		{"a* b* c*-", bus.StepRemove, "c", "2/2 of 2", safe, "even loss"},
		{"a* b* c*-", bus.StepDemote, "c", "2/2 of 2", safe, "even loss"},
		{"a* b* c*-", bus.StepDemote, "b", "1/2 of 2 c", never, ""},
		{"a* b* c*~", bus.StepRemove, "b", "1/2 of 2 c", never, ""}, // one far behind cannot confirm
		{"a* b* c*", bus.StepDemote, "c", "2/2 of 2", safe, "even loss"},
		{"a* b* c* d*", bus.StepDemote, "d", "3/2 of 3", safe, ""},
		{"a* b* c* d*- e*-", bus.StepRemove, "e", "3/3 of 4 d", safe, "even loss"},
		{"a* b* c* d*- e*-", bus.StepRemove, "a", "2/3 of 4 d e", never, ""},
		{"a* b* c*- d", bus.StepPromote, "d", "3/3 of 4 c", safe, "even loss"},
		{"a* b*- c- d", bus.StepPromote, "d", "2/2 of 3 b", safe, "loss"},
		{"a* b*-", bus.StepPromote, "b", "2/2 of 2", forced, ""}, // it has its vote
		{"a* b*", bus.StepDrain, "b", "1/1 of 1", safe, "loss"},
		{"a* b*-", bus.StepDrain, "a", "0/1 of 1 b", safe, "keeps"},
		{"a*", bus.StepDrain, "a", "0/1 of 0", safe, "keeps"},
		{"a* b*", bus.StepResume, "b", "2/2 of 2", safe, ""},
	} {
		t.Run(fmt.Sprint(c.members, " ", c.step, " ", c.node), func(t *testing.T) {
			o := bus.Foresee(standings(c.members), c.step, c.node)
			quorum := fmt.Sprintf("%d/%d of %d", o.Ready, o.Needed, o.Voters)
			for _, id := range o.Missing {
				quorum += " " + string(id)
			}
			verdict := never
			switch {
			case o.Refusal(false) == nil:
				verdict = safe
			case o.Refusal(true) == nil:
				verdict = forced
			}
			if quorum != c.quorum || verdict != c.verdict {
				t.Errorf("%s, %s; want %s, %s: %+v", quorum, verdict, c.quorum, c.verdict, o)
			}
			var warned []string
			for _, w := range o.Warnings {
				for _, word := range []string{"even", "loss of any one", "keeps"} {
					if strings.Contains(w.EN, word) && w.ZH != "" {
						warned = append(warned, strings.Fields(word)[0])
					}
				}
			}
			if got := strings.Join(warned, " "); got != c.warned {
				t.Errorf("warned of %q, want %q", got, c.warned)
			}
			if err := o.Refusal(false); err != nil && bus.CodeOf(err) != bus.CodeQuorum {
				t.Errorf("refused as %v", err)
			}
		})
	}
}

// A refusal names who is missing and what to do.
func TestARefusedStepNamesWhoIsMissing(t *testing.T) {
	err := bus.Foresee(standings("a* b*- c*"), bus.StepDemote, "c").Refusal(true)
	for _, word := range []string{"quorum-at-risk", "missing: b", "bring the missing voters back"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
}
