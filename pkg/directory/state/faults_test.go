package state_test

import (
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func TestASoundDirectoryHasNoFaults(t *testing.T) {
	w := onesWorld(t) // drafts, submissions and moves too
	w.must(byMarket, command.ResourceWithdraw, w.revision["licences"], command.Withdrawal{Resource: "licences", Reason: "样例"})
	if faults := faultsOf(w); faults != "" {
		t.Error(faults)
	}
	if _, err := w.store.Refound(refounding()); err != nil {
		t.Fatal(err)
	}
	if faults := faultsOf(w); faults != "" {
		t.Error("restored: ", faults)
	}
}

func faultsOf(w *world) (faults string) {
	w.view(func(tx *state.Tx) { faults = strings.Join(tx.Faults(), "\n") })
	return faults
}

func TestFaultsNamesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		name, table, key, value string
		want                    string
	}{
		{"an index of nothing", "resource-codes", "309/9", "registrations", "code 309/9 is indexed"},
		{"an index of another", "resource-codes", "307001/1", "licences", "code 307001/1"},
		{"a review of nothing", "reviews", "ghost", "true", "a draft is listed for review that is not there"},
		{"a certificate of nobody", "certificates", "ab", "sample-tax", "certificate ab is indexed"},
		{"a key that is not the id", "grants", "g7", `{"id":"g1"}`, `grants "g7"`},
		{"a value that cannot be read", "systems", "sample-tax", `{`, "sample-tax"},
		{"a division served by nobody", "homes", "440106", "ghost", "division 440106"},
		{"a division without its node", "homes", "440106", "", "division 440106 of node th"},
		{"a provider that is gone", "departments", string(market), "", "resource registrations"},
		{"a resource that is gone", "resources", "registrations", "", "subscription s1"},
		{"a change to come", "revisions", "grants", "999999", "table grants"},
		{"an entry of no place", "journal", "x", "{}", "the journal has an entry at 78"},
		{"an entry to come", "journal", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "{}", "the journal has an entry at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if err := w.store.Corrupt(state.Table(c.table), c.key, c.value); err != nil {
				t.Fatal(err)
			}
			if faults := faultsOf(w); !strings.Contains(faults, c.want) {
				t.Errorf("got %q, want %q", faults, c.want)
			}
		})
	}
}
