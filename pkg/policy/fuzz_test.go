package policy_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Whatever the text of a layer is, checking and loading it end, do not panic,
// and never let it grant.
func FuzzCheck(f *testing.F) {
	e, err := policy.New(policy.Options{})
	if err != nil {
		f.Fatal(err)
	}
	samples, err := policy.Samples()
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range samples {
		for _, text := range l.Modules {
			f.Add(text)
		}
	}
	f.Add("package gxbus.division.d440100\ndeny contains {\"code\": \"x\", \"zh\": \"x\", \"en\": \"x\"} if not input.a[input.b]\n")
	f.Add("package gxbus.division.d440100\nf(x) := [x, x]\nitems := f(f(f(1))) if input.x = [1, y]; y > 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := bus.Layer{ID: city, Revision: 1, Modules: map[string]string{"a.rego": text, "a_test.rego": passing}}
		start := time.Now()
		e.Check(t.Context(), l)
		fresh := newEngine(t, l)
		in := with(func(in *policy.Input) { in.Grant = nil })
		if d := fresh.Decide(t.Context(), in); d.Allow {
			t.Errorf("a layer granted what base denies")
		}
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Whatever the input is, a decision comes, and what the law wants of an allowed
// exchange is true of it.
func FuzzDecide(f *testing.F) {
	e := newEngine(f)
	for _, in := range []policy.Input{forward(), {}, with(func(in *policy.Input) {
		in.Resource.Items[0].Sharing = bus.Conditional
		in.Resource.Sharing.Type = bus.Unconditional
	})} {
		text, err := json.Marshal(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := decode(t, text)
		if err != nil {
			return
		}
		d := e.Decide(t.Context(), in)
		if d.Allow == (len(d.Reasons) > 0) {
			t.Errorf("allow %v with reasons %q", d.Allow, codes(d))
		}
		if d.Allow && in.Action != policy.ActionPublish {
			checkLawful(t, in, d)
		}
	})
}

// checkLawful states the base policy a second time, in Go.
func checkLawful(t *testing.T, in policy.Input, d bus.Decision) {
	t.Helper()
	if in.Provider.Department != in.Resource.Provider || in.Consumer.Department == "" {
		t.Error("allowed between parties that are not what they should be")
	}
	if in.Consumer.Department == in.Provider.Department {
		return
	}
	granted := in.Grant != nil && !in.Grant.Revoked && in.Grant.Resource == in.Resource.ID && in.Grant.Consumer == in.Consumer.Department &&
		!in.Time.Before(in.Grant.NotBefore.Time) && in.Time.Before(in.Grant.NotAfter.Time) && slices.Contains(in.Grant.Purposes, in.Purpose) &&
		(len(in.Grant.Matters) == 0 || slices.Contains(in.Grant.Matters, in.Matter)) && in.Directory.AgeSeconds <= 300
	switch {
	case in.Purpose == "":
		t.Error("allowed without a purpose")
	case in.Resource.Sharing.Type == bus.Conditional && !granted:
		t.Error("conditional, allowed without a live grant")
	case in.Resource.Sharing.Type != bus.Conditional && in.Resource.Sharing.Type != bus.Unconditional:
		t.Error("allowed though not shared")
	}
	for _, id := range d.Obligations.Items {
		i := slices.IndexFunc(in.Resource.Items, func(it policy.Item) bool { return it.ID == id })
		if i < 0 {
			t.Errorf("item %q is not in the resource", id)
			continue
		}
		it, mask := in.Resource.Items[i], d.Obligations.Masks[id]
		sharing := it.Sharing
		if sharing == "" {
			sharing = in.Resource.Sharing.Type
		}
		if sharing == bus.NotShared || sharing == bus.Conditional && !(granted && slices.Contains(in.Grant.Items, id)) {
			t.Errorf("item %q passes though %s", id, sharing)
		}
		if it.Grade >= 4 && mask.Method != bus.MaskDrop || it.Semantic == bus.SemanticIDNumber && mask.Method == "" {
			t.Errorf("item %q of grade %d, %q passes with mask %+v", id, it.Grade, it.Semantic, mask)
		}
	}
}
