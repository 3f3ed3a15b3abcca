package evaluation

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
)

// score works out the points and the band of s from its figures: the ratios of
// those that apply, weighed, over the weight that applies, less the deductions up
// to the cap.
func (s *Standing) score(scheme bus.Scheme) {
	if s.Weight == 0 {
		return
	}
	points := new(big.Rat)
	for i, f := range s.Figures {
		if f.State != Counted {
			continue
		}
		n := min(f.Numerator, f.Denominator) // of a ratio that can pass 1, no more than all
		points.Add(points, big.NewRat(n*int64(scheme.Indicators[i].Weight), f.Denominator))
	}
	points.Mul(points, big.NewRat(bus.FullWeight, int64(s.Weight)))
	var off int64
	for _, d := range s.Deductions {
		off += d.Points
	}
	points.Sub(points, big.NewRat(min(off, int64(scheme.Cap)), 1))
	if points.Sign() < 0 {
		points.SetInt64(0)
	}
	s.Score = &Score{Exact: points.RatString(), Points: Rounded(points)}
	for _, b := range scheme.Bands {
		if points.Cmp(big.NewRat(int64(b.From), 1)) >= 0 {
			s.Band = &b.Name
			return
		}
	}
}

// Rounded gives a ratio that is not negative with two decimals, half up.
func Rounded(r *big.Rat) string {
	// floor((200·num + den) / (2·den)) is num/den in hundredths, half up
	num := new(big.Int).Mul(r.Num(), big.NewInt(200))
	num.Add(num, r.Denom())
	num.Quo(num, new(big.Int).Mul(r.Denom(), big.NewInt(2)))
	whole, cents := new(big.Int).QuoRem(num, big.NewInt(100), new(big.Int))
	return fmt.Sprintf("%s.%02d", whole, cents.Int64())
}

// Percent gives the figure as a percentage with two decimals, half up; "" where it
// does not count.
func (f Figure) Percent() string {
	if f.State != Counted {
		return ""
	}
	return Rounded(new(big.Rat).Mul(big.NewRat(f.Numerator, f.Denominator), big.NewRat(100, 1)))
}

// ratio gives the exact number of a score.
func (s Score) ratio() *big.Rat {
	r, ok := new(big.Rat).SetString(s.Exact)
	if !ok {
		return new(big.Rat)
	}
	return r
}

// rank ranks those that can be, each among those of its level.
func rank(standings []Standing) {
	levels := map[bus.Level][]*Standing{}
	exact := map[*Standing]*big.Rat{}
	for i := range standings {
		if s := &standings[i]; s.Unranked == nil {
			levels[s.Level] = append(levels[s.Level], s)
			exact[s] = s.Score.ratio()
		}
	}
	for _, level := range levels {
		slices.SortFunc(level, func(a, b *Standing) int {
			return cmp.Or(exact[b].Cmp(exact[a]), cmp.Compare(a.Department, b.Department), cmp.Compare(a.Division, b.Division))
		})
		for i, s := range level {
			s.Rank, s.Of = i+1, len(level)
			if i > 0 && exact[s].Cmp(exact[level[i-1]]) == 0 {
				s.Rank = level[i-1].Rank
			}
		}
	}
}
