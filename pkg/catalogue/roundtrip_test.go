package catalogue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/raced"
	"pgregory.net/rapid"
)

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	raced.Later(t)
	dir := t.TempDir()
	for _, format := range []catalogue.Format{catalogue.JSONL, catalogue.CSV, catalogue.XLSX} {
		t.Run(string(format), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				drafts, lang := uniqueDrafts(t), rapid.SampledFrom([]bus.Lang{bus.Chinese, bus.English}).Draw(t, "lang")
				path := filepath.Join(dir, fmt.Sprintf("entries.%s", format))
				write(t, path, format, lang, drafts)
				got := read(t, path, catalogue.Options{})
				if len(got) != len(drafts) {
					t.Fatalf("%d entries came back of %d", len(got), len(drafts))
				}
				for i, e := range got {
					if e.Has(catalogue.Refused) {
						t.Errorf("entry %d: %+v", i, e.Notes)
					}
					if was, is := text(drafts[i]), text(e.Draft); was != is {
						t.Errorf("entry %d was\n%s, is\n%s", i, was, is)
					}
				}
			})
		})
	}
}

// reporter is what testing and rapid share.
type reporter interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

func write(t reporter, path string, format catalogue.Format, lang bus.Lang, drafts []bus.Draft) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := catalogue.NewWriter(file, format, lang, map[bus.USCC]string{provider: "=样例局"})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drafts {
		exact, err := w.Write(d)
		if err != nil {
			t.Fatal(err)
		}
		if !exact {
			t.Errorf("said not to survive: %s", text(d))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t reporter, path string, o catalogue.Options) []catalogue.Entry {
	t.Helper()
	source, err := catalogue.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var entries []catalogue.Entry
	for {
		e, err := source.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
}

func text(d bus.Draft) string {
	content, err := json.Marshal(bus.DraftContent{Resource: d.Resource, Clearance: d.Clearance})
	if err != nil {
		panic(err)
	}
	return string(content)
}

const provider bus.USCC = "11440300999900011J"

func uniqueDrafts(t *rapid.T) []bus.Draft {
	drafts := rapid.SliceOfN(rapid.Custom(draft), 1, 5).Draw(t, "drafts")
	for i := range drafts {
		drafts[i].Resource.Codes[0] = bus.ResourceCode(fmt.Sprintf("301001/%06d", i))
	}
	return drafts
}

// prose are texts as people write them, and as attackers do: beginnings of
// formulas, quotes, lines, spaces, and apostrophes before any of them.
var prose = rapid.Custom(func(t *rapid.T) string {
	start := rapid.SampledFrom([]string{"", "=", "+", "-", "@", "'", "'=", "''-", "\t", " ", "\"", "=cmd|'/C calc'!A0"}).Draw(t, "start")
	middle := rapid.StringOfN(rapid.RuneFrom([]rune("企业登记ab1,;；、\"'=\n\t 　_x000D_<&>😀")), 0, 20, -1).Draw(t, "middle")
	return start + middle + "字"
})

func maybe(g *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), g)
}

func draft(t *rapid.T) bus.Draft {
	pick := func(label string, words ...string) string { return rapid.SampledFrom(words).Draw(t, label) }
	optional := func(label string) string { return maybe(prose).Draw(t, label) }
	codes := rapid.StringMatching(`[1-3][0-9]{5}[0-9A-Za-z]{0,4}/[0-9A-Za-z]{1,8}`)
	r := bus.Resource{
		ID: bus.ResourceID(maybe(rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?`)).Draw(t, "id")), Name: prose.Draw(t, "name"), Provider: provider,
		Abstract: optional("abstract"), Office: optional("office"), Contact: optional("contact"), Subtype: optional("subtype"),
		Format: pick("format", "file", "spreadsheet", "database", "image", "stream", "self-describing", "service"),
		Entity: bus.EntityID(pick("entity", "", "natural-person", "enterprise")), Class: optional("class"), System: optional("system"),
		Open: pick("open", "yes", "conditional", "no"), OpenTerms: optional("terms"), Network: pick("network", "", "government", "internet", "departmental"),
		UpdateCycle: pick("cycle", "realtime", "daily", "weekly", "monthly", "quarterly", "half-yearly", "yearly", "irregular"),
		Scenario:    pick("scenario", "", "government-service", "public-service", "supervision", "other"),
		Modes:       rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"interface", "batch", "file"}), 1, 3, rapid.ID[string]).Draw(t, "modes"),
		Matters:     rapid.SliceOfN(rapid.StringMatching(`[0-9A-Z]{6,12}`), 0, 3).Draw(t, "matters"),
	}
	for _, c := range rapid.SliceOfNDistinct(codes, 1, 3, rapid.ID[string]).Draw(t, "codes") {
		r.Codes = append(r.Codes, bus.ResourceCode(c))
	}
	for _, c := range rapid.SliceOfN(codes, 0, 2).Draw(t, "related") {
		r.Related = append(r.Related, bus.ResourceCode(c))
	}
	switch r.Sharing.Type = bus.SharingType(pick("sharing", "unconditional", "conditional", "none")); r.Sharing.Type {
	case bus.Conditional:
		r.Sharing.Range, r.Sharing.Purposes = prose.Draw(t, "range"), []bus.Purpose{bus.PurposeReference, bus.PurposeCollaboration}
	case bus.NotShared:
		r.Sharing.Reason = prose.Draw(t, "reason")
		r.Sharing.Basis = &bus.Basis{Kind: pick("kind", "law", "administrative-regulation", "state-council-decision"), Citation: prose.Draw(t, "citation")}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "items") {
		r.Items = append(r.Items, item(t, i))
	}
	return bus.Draft{Resource: r, Clearance: bus.Clearance{SecrecyReview: optional("review"), Assessment: optional("assessment"), Consent: optional("consent")}}
}

func item(t *rapid.T, i int) bus.Item {
	return bus.Item{
		ID: bus.ItemID(fmt.Sprintf("item_%d", i)), Name: prose.Draw(t, "item"), English: maybe(prose).Draw(t, "english"),
		Type: string(rapid.SampledFrom([]rune("CNYDTLMGBIF")).Draw(t, "type")), Length: rapid.IntRange(0, 4000).Draw(t, "length"),
		Grade: rapid.IntRange(1, 4).Draw(t, "grade"), Sharing: bus.SharingType(rapid.SampledFrom([]string{"", "unconditional", "none"}).Draw(t, "sharing")),
		Open: rapid.Bool().Draw(t, "open"), Personal: rapid.Bool().Draw(t, "personal"), Source: rapid.Bool().Draw(t, "source"),
		Semantic: bus.Semantic(rapid.SampledFrom([]string{"", "id-number", "name", "phone", "address", "bank-card", "uscc", "division"}).Draw(t, "semantic")),
	}
}

func TestTemplateHasAnExampleThatIsRead(t *testing.T) {
	for _, lang := range []bus.Lang{bus.Chinese, bus.English} {
		path := filepath.Join(t.TempDir(), "template.xlsx")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(catalogue.WriteTemplate(file, lang), file.Close()); err != nil {
			t.Fatal(err)
		}
		entries := read(t, path, catalogue.Options{Sheet: "样例"})
		if len(entries) != 2 || entries[0].Rows != 4 || entries[1].Row != 6 {
			t.Fatalf("the example is read as %d entries: %+v", len(entries), entries)
		}
		for _, e := range entries {
			if len(e.Notes) > 0 || !strings.Contains(e.Draft.Resource.Name, "样例") {
				t.Errorf("%s: %+v", e.Draft.Resource.Name, e.Notes)
			}
			if _, lacking := e.Draft.Elements(); len(lacking) > 0 {
				t.Errorf("%s could not be published: %+v", e.Draft.Resource.Name, lacking)
			}
		}
		if empty := read(t, path, catalogue.Options{}); len(empty) != 0 {
			t.Errorf("the sheet to fill in holds %+v", empty)
		}
	}
}
