package evaluation

import "github.com/gxbus/gxbus/pkg/bus"

// Effect is what a scheme would have made of a window, against the one in force.
type Effect struct {
	Window  Window  `json:"window"`
	Present int     `json:"present"` // version in force; 0: the one that ships with the release
	Ranked  int     `json:"ranked"`  // departments and divisions that have a rank by it
	Would   int     `json:"would"`   // that would have one
	Shifts  []Shift `json:"shifts"`  // of whom anything would change, departments first
}

// Shift is how one department or division would have come out.
type Shift struct {
	Department bus.USCC         `json:"department,omitempty"`
	Division   bus.DivisionCode `json:"division"`
	Name       string           `json:"name"`
	Was        Outcomes         `json:"was"`
	Would      Outcomes         `json:"would"`
}

// Outcomes are the parts of a standing that a scheme decides on.
type Outcomes struct {
	Score *Score    `json:"score,omitempty"`
	Band  *bus.Text `json:"band,omitempty"`
	Rank  int       `json:"rank,omitempty"`
	Of    int       `json:"of,omitempty"`
}

func (s *Standing) outcomes() Outcomes { return Outcomes{s.Score, s.Band, s.Rank, s.Of} }

func (o Outcomes) equal(p Outcomes) bool {
	return o.Score.text() == p.Score.text() && o.Rank == p.Rank && o.Of == p.Of && (o.Band == nil) == (p.Band == nil) && (o.Band == nil || *o.Band == *p.Band)
}

// Preview makes a report by the order's scheme and by another, and tells the difference.
func (m *Material) Preview(o Order, proposed bus.Scheme) (Effect, error) {
	was, err := m.Evaluate(o)
	if err != nil {
		return Effect{}, err
	}
	effect := Effect{Window: o.Window, Present: o.Scheme.Version, Shifts: []Shift{}}
	o.Scheme = UsedScheme(bus.SchemeVersion{Scheme: proposed})
	would, err := m.Evaluate(o)
	if err != nil {
		return Effect{}, err
	}
	again := would.standings()
	for _, group := range [][]Standing{was.Departments, was.Divisions} {
		for i := range group {
			s, other := &group[i], again[group[i].who()]
			if s.Rank > 0 {
				effect.Ranked++
			}
			if other.Rank > 0 {
				effect.Would++
			}
			if !s.outcomes().equal(other.outcomes()) {
				effect.Shifts = append(effect.Shifts, Shift{s.Department, s.Division, s.Name, s.outcomes(), other.outcomes()})
			}
		}
	}
	return effect, nil
}
