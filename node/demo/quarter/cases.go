package quarter

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// live makes up the workflow: so many applications and what came of them, and for some
// of them a change of the entry, a doubt and a dispute.
func (p *province) live(random *rand.Rand, applications int) {
	for n := range applications {
		r := p.resources[random.IntN(len(p.resources))]
		sharing := p.directory.Versions[r.id][0].Resource.Sharing.Type
		if sharing == bus.NotShared {
			continue
		}
		p.apply(random, n, r, sharing)
		if n%4 == 0 {
			p.change(random, n, r)
		}
		if n%3 == 0 {
			p.doubt(random, n, r)
		}
	}
}

// moment is a time in working hours, between ten days before the first day and the last.
func (p *province) moment(random *rand.Rand) time.Time {
	first := p.from - 10 // what is due early was begun before
	return (first + calendar.Date(random.IntN(p.length+10))).Start().Add(9*time.Hour + time.Duration(random.IntN(8*3600))*time.Second)
}

// kept is a moment in the term, or after it, as the department is.
func kept(random *rand.Rand, a ability, from, due time.Time) time.Time {
	term := due.Sub(from)
	if random.IntN(100) < a.terms {
		return from.Add(term * time.Duration(1+random.IntN(90)) / 100).Truncate(time.Second)
	}
	return due.Add(time.Duration(1+random.IntN(10*24)) * time.Hour)
}

func (p *province) apply(random *rand.Rand, n int, r resource, sharing bus.SharingType) {
	owner, consumer := p.people[r.owner], p.people[p.other(random, r.owner)]
	filed := p.moment(random)
	a := bus.Application{
		ID: bus.ApplicationID(fmt.Sprintf("a%06d", n)), State: bus.ApplicationPending, Sharing: sharing, Created: bus.Submission{At: filed}, Filed: &bus.Submission{At: filed},
		Complete: &bus.Submission{At: filed},
		Content: bus.ApplicationContent{
			Department: consumer.ID, Resource: r.id, Version: 1, Basis: "样例", Scenario: "样例", Division: consumer.Division, Mode: "interface", Purposes: []bus.Purpose{r.purpose},
		},
	}
	days := bus.AnswerDays
	if sharing == bus.Unconditional {
		days = bus.AnswerAtOnceDays
	}
	at := kept(random, owner.ability, filed, p.days.Deadline(filed, days).Due)
	if sharing == bus.Unconditional {
		at = filed // the bus answers
	}
	fate := random.IntN(100)
	switch {
	case fate < 4:
		a.State, a.Withdrawn = bus.ApplicationWithdrawn, &bus.Submission{At: filed.Add(time.Hour)}
	case fate < 10 && sharing == bus.Conditional:
		a.State, a.Answer = bus.ApplicationRefused, &bus.Review{At: at, Opinion: "样例：超出共享范围"}
		if fate == 4 {
			p.dispute(random, n, bus.Subject{Kind: bus.SubjectApplication, ID: string(a.ID)}, at, consumer, owner)
		}
	case fate < 10 || random.IntN(100) >= owner.ability.terms && random.IntN(3) == 0: // never answered
	default:
		a.State, a.Answer, a.Grant = bus.ApplicationApproved, &bus.Review{At: at, Approved: true}, bus.GrantID(fmt.Sprintf("g%06d", n))
		p.grant(random, n, a, owner, consumer)
	}
	p.directory.Applications = append(p.directory.Applications, a)
}

func (p *province) grant(random *rand.Rand, n int, a bus.Application, owner, consumer department) {
	g := bus.Grant{
		ID: a.Grant, Resource: a.Content.Resource, Consumer: consumer.ID, Purposes: a.Content.Purposes, Items: []bus.ItemID{"uscc"}, NotBefore: a.Answer.At,
		NotAfter: a.Answer.At.AddDate(1, 0, 0), Consent: &bus.Consent{Application: a.ID, At: a.Answer.At, Version: 1, Mode: a.Content.Mode},
	}
	if delivered := kept(random, owner.ability, a.Answer.At, p.days.Deadline(a.Answer.At, bus.DeliveryDays).Due); random.IntN(100) < owner.ability.terms {
		g.Delivered = &delivered
	}
	switch random.IntN(60) {
	case 0: // stopped by its provider, and disputed
		stop := a.Answer.At.AddDate(0, 0, 5)
		g.Suspended = "样例：系统改造"
		g.Stops = []bus.Stop{{Step: bus.GrantSuspend, At: stop, By: bus.Principal{Department: owner.ID}, Reason: g.Suspended}}
		p.dispute(random, n, bus.Subject{Kind: bus.SubjectGrant, ID: string(g.ID)}, stop.Add(time.Hour), consumer, owner)
	case 1: // used beyond its range, as the provider says
		stop := a.Answer.At.AddDate(0, 0, 7)
		g.Stops = []bus.Stop{{Step: bus.GrantRectify, At: stop, By: bus.Principal{Department: owner.ID}, Reason: "样例：疑似超范围使用"}}
		p.dispute(random, n, bus.Subject{Kind: bus.SubjectGrant, ID: string(g.ID)}, stop.Add(time.Hour), consumer, owner)
	}
	p.directory.Grants = append(p.directory.Grants, g)
}

// dispute is raised and decided ten days later, either way.
func (p *province) dispute(random *rand.Rand, n int, about bus.Subject, at time.Time, raiser, respondent department) {
	p.directory.Disputes = append(p.directory.Disputes, bus.Dispute{
		ID: bus.DisputeID(fmt.Sprintf("d%06d", n)), About: about, Raiser: raiser.ID, Respondent: respondent.ID, State: bus.DisputeDecided,
		Steps:  []bus.DisputeAct{{Step: bus.DisputeRaise, At: at, Text: "样例"}},
		Ruling: &bus.Ruling{At: at.AddDate(0, 0, 10), Upheld: random.IntN(2) == 0, Opinion: "样例"},
	})
}

// change is a law that makes a change of an entry due.
func (p *province) change(random *rand.Rand, n int, r resource) {
	at := p.moment(random)
	t := bus.Trigger{Resource: r.id, Number: n + 1, Kind: bus.TriggerLaw, At: at, Description: "样例", Recorded: at}
	if a := p.people[r.owner].ability; random.IntN(100) < a.terms+5 {
		met := kept(random, a, at, p.days.Deadline(at, bus.ChangeDays).Due)
		t.Met = &met
	}
	p.directory.Triggers = append(p.directory.Triggers, t)
}

// doubt is a correction: explained, corrected and retested, or not answered.
func (p *province) doubt(random *rand.Rand, n int, r resource) {
	at, a := p.moment(random), p.people[r.owner].ability
	c := bus.Correction{
		ID: bus.CorrectionID(fmt.Sprintf("c%06d", n)), Resource: r.id, Version: 1, Items: []bus.ItemID{"name"}, Description: "样例", State: bus.CorrectionOpen,
		Consumer: p.people[p.other(random, r.owner)].ID, Provider: p.people[r.owner].ID, Steps: []bus.CorrectionAct{{Step: bus.CorrectionReport, At: at, Text: "样例"}},
	}
	then := func(step bus.CorrectionStep, at time.Time) {
		c.Steps = append(c.Steps, bus.CorrectionAct{Step: step, At: at, Text: "样例"})
	}
	fed := kept(random, a, at, p.days.Deadline(at, bus.CorrectionDays).Due)
	switch fate := random.IntN(100); {
	case fate >= a.terms+2: // not answered
	case fate%3 == 0:
		c.State = bus.CorrectionAccepted
		then(bus.CorrectionExplain, fed)
		then(bus.CorrectionAccept, fed.Add(24*time.Hour))
	default:
		c.State = bus.CorrectionFixed
		then(bus.CorrectionCorrect, fed)
		then(bus.CorrectionPass, fed.Add(48*time.Hour))
	}
	p.directory.Corrections = append(p.directory.Corrections, c)
}
