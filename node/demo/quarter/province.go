package quarter

import (
	"fmt"
	"math/rand/v2"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// province is who there is, and what they have.
type province struct {
	directory evaluation.Directory
	days      calendar.Calendar
	from      calendar.Date
	length    int
	people    []department
	resources []resource
	outages   []outage
	silent    bus.NodeID // its evidence was lost
}

// department is a department and how well it works.
type department struct {
	bus.Department
	home    bus.NodeID
	ability ability
}

// ability is how well a department works: of a hundred, how many calls succeed, terms
// are kept and doubts are answered well.
type ability struct {
	calls, terms, use int
}

var abilities = []ability{{99, 97, 99}, {98, 70, 97}, {88, 35, 85}} // good, slow, failing

// resource is an entry, whose it is, and who uses it.
type resource struct {
	id        bus.ResourceID
	owner     int // in people
	cycle     string
	batches   bool
	purpose   bus.Purpose
	published uint64 // events so far
	forwarded uint64
	consumers [3]int // in people; the first one takes the batches
}

// outage is a stretch of days on which a node was down.
type outage struct {
	node        bus.NodeID
	first, last int // days
}

// towns are a few real ones, of cities without counties and of a county.
var towns = []bus.Division{
	{Code: "441900003", Name: "东城街道", Level: bus.LevelTown, Parent: "441900"},
	{Code: "442000001", Name: "石岐街道", Level: bus.LevelTown, Parent: "442000"},
	{Code: "440106001", Name: "五山街道", Level: bus.LevelTown, Parent: "440106"},
}

// province makes up who there is. A third of the counties are tenants of their city's
// node.
func (o Options) province() *province {
	random := o.random(ofProvince)
	p := &province{days: calendar.New(calendar.BuiltIn()), from: o.From, length: o.Days}
	d := &p.directory
	d.Days, d.Divisions = calendar.BuiltIn(), append(bus.Guangdong(), towns...)
	d.Versions, d.Homes = map[bus.ResourceID][]bus.Version{}, map[bus.USCC]bus.NodeID{}
	homes := map[bus.DivisionCode]bus.NodeID{}
	for i, x := range d.Divisions {
		if x.Level == bus.LevelTown || x.Level == bus.LevelCounty && i%3 == 0 {
			homes[x.Code] = homes[x.Parent]
			continue
		}
		id := bus.NodeID("n" + string(x.Code))
		homes[x.Code] = id
		d.Nodes = append(d.Nodes, bus.Node{ID: id, Division: x.Code, Joined: o.From.Start().AddDate(0, 0, -30)})
	}
	for n := range o.scaled(fullDepartments, 24) {
		i := n % len(d.Divisions)
		if n == 1 {
			i = len(d.Divisions) - 1 // at any scale a town's department
		}
		code := d.Divisions[i].Code
		x := department{
			Department: bus.Department{ID: sample.USCC(code[:6], 1000+n), Name: fmt.Sprintf("%s样例部门%d", d.Divisions[i].Name, n+1), Division: code},
			home:       homes[code], ability: abilities[[]int{0, 0, 0, 0, 0, 0, 0, 1, 1, 2}[random.IntN(10)]],
		}
		p.people, d.Departments, d.Homes[x.ID] = append(p.people, x), append(d.Departments, x.Department), x.home
		if d.Divisions[i].Authority == "" {
			d.Divisions[i].Authority = x.ID
		}
	}
	for n := range o.scaled(fullResources, 40) {
		p.entry(random, n)
	}
	for range o.scaled(8, 1) {
		first := random.IntN(o.Days)
		p.outages = append(p.outages, outage{d.Nodes[random.IntN(len(d.Nodes))].ID, first, first + random.IntN(3)})
	}
	p.silent = d.Nodes[1+random.IntN(len(d.Nodes)-1)].ID // not the one that evaluates
	return p
}

// top is the node that evaluates.
func (p *province) top() bus.NodeID { return p.directory.Nodes[0].ID }

// entry makes up a resource and its catalogue entry: one in twenty lacks something.
func (p *province) entry(random *rand.Rand, n int) {
	owner := random.IntN(len(p.people))
	r := resource{
		id: bus.ResourceID(fmt.Sprintf("sample-%05d", n)), owner: owner, batches: random.IntN(3) == 0, consumers: [3]int{p.other(random, owner), p.other(random, owner), p.other(random, owner)},
		cycle:   []string{"daily", "weekly", "monthly", "monthly", "monthly", "quarterly", "quarterly", "irregular"}[random.IntN(8)],
		purpose: []bus.Purpose{bus.PurposeAdministrativeBasis, bus.PurposeReference, bus.PurposeVerification, bus.PurposeCollaboration}[random.IntN(4)],
	}
	if random.IntN(20) == 0 {
		r.cycle, r.batches = bus.CycleRealtime, false
	}
	entry := bus.Resource{
		ID: r.id, Codes: []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("3%02d%03d/%d", n%90+1, n%900+1, n+1))}, Name: fmt.Sprintf("样例目录%05d", n), Abstract: "样例数据",
		Provider: p.people[owner].ID, Format: "database", Class: "样例分类", Open: "no", UpdateCycle: r.cycle, Modes: []string{"interface"}, Version: 1,
		Items:     []bus.Item{{ID: "uscc", Name: "统一社会信用代码", Type: "C", Grade: 1}, {ID: "name", Name: "名称", Type: "C", Grade: 2}},
		Sharing:   bus.Sharing{Type: bus.Conditional, Range: "全省政务部门", Purposes: []bus.Purpose{r.purpose}},
		Published: p.from.Start().AddDate(0, 0, -random.IntN(300)-1),
	}
	if r.batches {
		entry.Modes = []string{"batch", "interface"}
	}
	switch random.IntN(20) {
	case 0:
		entry.Abstract = ""
	case 1:
		entry.Sharing.Purposes = nil
	case 2, 3, 4, 5:
		entry.Sharing = bus.Sharing{Type: bus.Unconditional}
	case 6:
		entry.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "样例", Basis: &bus.Basis{Kind: "law", Citation: "样例法第一条"}}
	}
	p.resources = append(p.resources, r)
	p.directory.Versions[r.id] = []bus.Version{{Resource: entry, Clearance: bus.Clearance{SecrecyReview: "样例", Consent: "样例"}}}
}

// other is a department but one.
func (p *province) other(random *rand.Rand, than int) int {
	return (than + 1 + random.IntN(len(p.people)-1)) % len(p.people)
}

// down reports whether a node is down on a day.
func (p *province) down(node bus.NodeID, day int) bool {
	for _, o := range p.outages {
		if o.node == node && o.first <= day && day <= o.last {
			return true
		}
	}
	return false
}
