package cli_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func foundPage(next string, ids ...string) client.ResourcePage {
	p := client.ResourcePage{Items: []client.FoundResource{}, Total: 3, Next: next, Complete: true, Indexed: 3, Entries: 3}
	for _, id := range ids {
		p.Items = append(p.Items, client.FoundResource{
			Resource: bus.Resource{ID: bus.ResourceID(id), Name: "企业登记信息"}, State: bus.StatePublished,
			Highlights: []client.Highlight{{Field: "name", Parts: []client.Part{{Text: "企业", Hit: true}, {Text: "登记信息"}}}},
		})
	}
	p.Facets = map[string]client.Facet{"division": {Values: []client.FacetValue{{Value: "440300", Name: "深圳市", Count: 3}}, More: 2}}
	return p
}

func TestSearchShowsPagesFacetsAndWhereTheWordsStand(t *testing.T) {
	answers := map[string]client.ResourcePage{"": foundPage("next", "a", "b"), "next": foundPage("", "c")}
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /resources": func(w http.ResponseWriter, r *http.Request) { give(answers[r.URL.Query().Get("cursor")])(w, r) },
	})
	out, told := sh.ok("resource", "search", "企业", "登记", "--division", "440300,440100", "--update-cycle", "daily", "--facets")
	contains(t, "table", out, "企业登记信息", "name: 企业登记信息", "division", "440300", "深圳市", "2 more values")
	if strings.ContainsAny(out, "\x1b⟦⟧") {
		t.Errorf("marks for a terminal where there is none: %q", out)
	}
	asked := sh.asked(0)
	for name, want := range map[string]string{"q": "企业 登记", "limit": "20", "update_cycle": "daily"} {
		if got := asked.Get(name); got != want {
			t.Errorf("asked %s=%q, want %q", name, got, want)
		}
	}
	if got := asked["division"]; strings.Join(got, " ") != "440300 440100" || len(asked["facets"]) != 8 {
		t.Errorf("asked %v", asked)
	}
	if told != "" {
		t.Errorf("told of %q", told)
	}

	out, _ = sh.ok("resource", "list", "-o", "csv")
	if n := strings.Count(out, "\r\n"); n != 4 {
		t.Errorf("three resources on two pages: %q", out)
	}
	_, told = sh.ok("resource", "search", "企业", "--limit", "2")
	contains(t, "notice", told, "the first 2 of 3")
}

// asked is the query of a request.
func (sh *shell) asked(n int) url.Values {
	sh.t.Helper()
	_, query, _ := strings.Cut(sh.seen[n].line, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		sh.t.Fatal(err)
	}
	return values
}

func TestListTellsThatTheIndexIsBeingMade(t *testing.T) {
	page := foundPage("", "a")
	page.Complete, page.Entries = false, 9
	sh := newShell(t, map[string]http.HandlerFunc{"GET /resources": give(page)})
	_, told := sh.ok("resource", "list")
	contains(t, "notice", told, "has not caught up yet (3 of 9)")
}

func TestAccessIsToldInWords(t *testing.T) {
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	sh := newShell(t, map[string]http.HandlerFunc{"GET /resources/registrations/access": give(bus.Access{
		Resource: "registrations", Department: uscc, Uses: []bus.Use{
			{Purpose: bus.PurposeVerification, Action: "subscribe", Allowed: true, Grant: "g-1", Until: until, Items: []bus.ItemID{"name", "phone"},
				Masks: map[bus.ItemID]bus.Mask{"phone": {Method: bus.MaskKeep, Head: 3, Tail: 4}}},
			{Purpose: bus.PurposeReference, Action: "subscribe", Missing: []bus.Missing{{
				Reason: bus.Reason{Layer: "base", Code: "purpose-outside-grant", Message: bus.Text{ZH: "用途不在授权内", EN: "not covered"}},
				Next:   bus.Text{ZH: "申请", EN: "apply"},
			}}},
		},
	})})
	out, _ := sh.ok("resource", "access", "registrations", "--purpose", "verification,reference", "--department", uscc)
	contains(t, "table", out, "yes", "g-1", "2027-01-01 08:00:00", "items name, phone; phone first 3 and last 4 only", "no", "not covered", "apply", "base:purpose-outside-grant")
	if got := sh.asked(0); strings.Join(got["purpose"], " ") != "verification reference" || got.Get("department") != uscc {
		t.Errorf("asked %v", got)
	}
	out, _ = sh.ok("resource", "access", "registrations", "--lang", "zh")
	contains(t, "Chinese", out, "可以", "用途不在授权内", "申请", "只留前 3 后 4 位")
}

// A Chinese table says what the catalogue's words are called; programs read the words.
func TestTheCataloguesWordsAreInChineseInAChineseTable(t *testing.T) {
	page := client.ResourcePage{Items: []client.FoundResource{{
		State: bus.StatePublished, Resource: bus.Resource{ID: "r", UpdateCycle: "realtime", Sharing: bus.Sharing{Type: bus.Conditional}},
	}}}
	sh := newShell(t, map[string]http.HandlerFunc{"GET /resources": give(page)})
	for output, want := range map[string][]string{
		"--lang=zh": {"有条件共享", "实时", "已发布"}, "--lang=zh -o csv": {"conditional", "realtime", "published"}, "--lang=en": {"conditional", "realtime", "published"},
	} {
		out, _ := sh.ok(append([]string{"resource", "list"}, strings.Fields(output)...)...)
		contains(t, output, out, want...)
	}
}
