package search_test

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/search"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// world is a directory without raft, and an index of it.
type world struct {
	tb    testing.TB
	dir   string
	store *state.Store
	at    uint64
	log   journal
	*search.Index
}

const patience = 60 * time.Second

var (
	sysadmin = bus.Principal{Account: "sysadmin", Role: bus.RoleSystemAdministrator}
	reviewer = bus.Principal{Account: "reviewer", Role: bus.RoleReviewer, Department: health}
	market   = bus.USCC("114400000069401674") // 深圳 (440300)
	health   = bus.USCC("11440000006939561H") // 天河 (440106)
)

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := newWorldIn(tb, tb.TempDir())
	tb.Cleanup(func() { _ = w.store.Close() })
	return w
}

func newWorldIn(tb testing.TB, dir string) *world {
	tb.Helper()
	store, err := state.Open(filepath.Join(dir, "directory.db"))
	check(tb, err)
	w := &world{tb: tb, dir: dir, store: store}
	divisions := bus.Guangdong()
	divisions[0].Authority = health
	w.write(command.ClusterInit, bus.Principal{Node: "gz"}, command.Init{
		Cluster: "gd", Node: bus.Node{ID: "gz"}, Divisions: divisions, Libraries: bus.BaseLibraries(),
		Accounts: []bus.Account{
			{Name: "sysadmin", Role: bus.RoleSystemAdministrator}, {Name: "reviewer", Role: bus.RoleReviewer, Department: health},
		},
	})
	w.write(command.DepartmentPut, sysadmin, bus.Department{ID: market, Name: "深圳市市场监督管理局", Division: "440300"})
	w.write(command.DepartmentPut, sysadmin, bus.Department{ID: health, Name: "天河区卫生健康局", Division: "440106"})
	return w
}

// start starts the index; it is closed when the test ends.
func (w *world) start() *world {
	w.tb.Helper()
	w.Index = search.Open(search.Config{
		Dir: w.indexDir(), Directory: w.directory(),
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	w.tb.Cleanup(func() { check(w.tb, w.Index.Close()) })
	return w
}

// journal is what the index logs.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

func (w *world) indexDir() string { return filepath.Join(w.dir, "search") }

// write applies one entry and returns its index.
func (w *world) write(t command.Type, by bus.Principal, body any) bus.Revision {
	w.tb.Helper()
	return w.writeAt(t, by, 0, body)
}

func (w *world) writeAt(t command.Type, by bus.Principal, expect bus.Revision, body any) bus.Revision {
	w.tb.Helper()
	results := w.apply(w.entry(t, by, expect, body))
	return results[0].Index
}

func (w *world) entry(t command.Type, by bus.Principal, expect bus.Revision, body any) state.Log {
	w.tb.Helper()
	e, err := command.New(t, by, "", expect, body)
	check(w.tb, err)
	e.At = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	e.Node = "gz"
	data, err := e.Encode()
	check(w.tb, err)
	w.at++
	return state.Log{Index: w.at, Data: data}
}

func (w *world) apply(batch ...state.Log) []state.Result {
	w.tb.Helper()
	results, err := w.store.Apply(batch)
	check(w.tb, err)
	for _, r := range results {
		check(w.tb, r.Err())
	}
	return results
}

// put publishes resources, many in one entry.
func (w *world) put(resources ...bus.Resource) {
	w.tb.Helper()
	for len(resources) > 0 {
		n := min(len(resources), 100)
		var drafts []bus.DraftContent
		for _, r := range resources[:n] {
			drafts = append(drafts, content(r))
		}
		var refs []bus.DraftRef
		for _, row := range w.apply(w.entry(command.DraftImport, sysadmin, 0, command.Import{Drafts: drafts, Submit: true}))[0].Rows {
			if row.State != bus.StateInReview {
				w.tb.Fatalf("%s: %+v", row.ID, row)
			}
			refs = append(refs, bus.DraftRef{ID: row.ID, Revision: row.Revision})
		}
		w.review(refs...)
		resources = resources[n:]
	}
}

func content(r bus.Resource) bus.DraftContent {
	return bus.DraftContent{Resource: r, Clearance: bus.Clearance{SecrecyReview: "1", Assessment: "1", Consent: "1"}}
}

func (w *world) review(refs ...bus.DraftRef) {
	w.tb.Helper()
	for _, row := range w.apply(w.entry(command.DraftReview, reviewer, 0, command.Review{Drafts: refs, Approve: true}))[0].Rows {
		if row.Outcome == bus.OutcomeRefused {
			w.tb.Fatalf("%s: %+v", row.ID, row)
		}
	}
}

// withdraw takes a resource out of the directory.
func (w *world) withdraw(id bus.ResourceID) {
	w.tb.Helper()
	w.writeAt(command.ResourceWithdraw, sysadmin, w.resource(id).Revision, command.Withdrawal{Resource: id, Reason: "样例"})
	w.review(bus.DraftRef{ID: id, Revision: bus.Revision(w.at)})
}

// caughtUp waits until the index shows all that was written.
func (w *world) caughtUp() {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	if err := w.Wait(ctx, bus.Revision(w.at)); err != nil {
		w.tb.Fatalf("the index stands at %+v, not at %d: %v", w.Progress(), w.at, err)
	}
}

func (w *world) find(q search.Query) search.Answer {
	w.tb.Helper()
	return w.findAs(everything{}, q)
}

func (w *world) findAs(v search.Viewer, q search.Query) search.Answer {
	w.tb.Helper()
	if q.Limit == 0 {
		q.Limit = search.MaxLimit
	}
	a, err := w.Search(context.Background(), q, v)
	check(w.tb, err)
	return a
}

// ids lists what a query finds, over all pages.
func (w *world) ids(q search.Query) []bus.ResourceID {
	w.tb.Helper()
	var ids []bus.ResourceID
	for {
		a := w.find(q)
		for _, h := range a.Hits {
			ids = append(ids, h.ID)
		}
		if q.Cursor = a.Next; a.Next == "" {
			return ids
		}
	}
}

// everything sees all.
type everything struct{}

func (everything) Published(bus.USCC) (bool, bool) { return true, true }
func (everything) Resource(bus.ResourceID) bool    { return true }
func (everything) Drafts(bus.USCC) bool            { return true }

func resource(n int, provider bus.USCC, name, abstract string, items ...bus.Item) bus.Resource {
	if len(items) == 0 {
		items = []bus.Item{{ID: "number", Name: "编号", Type: "C", Grade: 1}}
	}
	return bus.Resource{
		ID: bus.ResourceID(fmt.Sprintf("res-%06d", n)), Codes: []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("3%02d%03d/%06d", n%90, n%7, n))},
		Name: name, Abstract: cmp.Or(abstract, "样例"), Provider: provider, Format: "database", Items: items,
		Sharing: bus.Sharing{Type: bus.Unconditional}, Modes: []string{"batch"}, Open: "yes", UpdateCycle: "daily", Class: "样例",
	}
}

// record is a line of the catalogue sample. It carries an open type, no sharing
// type: what the tests make of it is synthetic.
type record struct {
	Title, Provider, Summary string
	Cycle                    string `json:"update_cycle"`
	Open                     string `json:"open_type"`
}

// records reads the catalogue sample, which lies beside the checkout; without it
// the test is skipped.
func records(tb testing.TB) []record {
	tb.Helper()
	all, err := readRecords()
	if errors.Is(err, fs.ErrNotExist) {
		tb.Skipf("SKIPPED for want of the catalogue sample: %v", err)
	}
	check(tb, err)
	return all
}

func readRecords() ([]record, error) {
	f, err := os.Open("../../../../shared/data/catalogue_sample.jsonl.gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var all []record
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, lines.Err()
}

// sampled makes the n-th resource of the sample, with synthetic attributes; from
// the second round on with its round in the name.
func sampled(all []record, n int) bus.Resource {
	r := all[n%len(all)]
	name := r.Title
	if round := n / len(all); round > 0 {
		name = fmt.Sprint(name, " ", round)
	}
	res := resource(n, [...]bus.USCC{market, health}[n%2], name, r.Provider+"："+r.Summary)
	res.Items = nil
	for k := range 8 {
		word := itemWords[(n*7+k*k)%len(itemWords)]
		res.Items = append(res.Items, bus.Item{ID: bus.ItemID(fmt.Sprintf("field_%d_%d", (n+k)%300, k)), Name: word, Type: "C", Grade: 1})
	}
	res.UpdateCycle = [...]string{"daily", "weekly", "monthly", "yearly"}[n%4]
	res.Format = [...]string{"database", "spreadsheet", "file"}[n%3]
	res.Codes = []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("%d%02d%03d/%06d", 1+n%3, 1+n%5, n%11, n))}
	if n%5 == 0 {
		res.Sharing = bus.Sharing{Type: bus.Conditional, Range: "全省", Purposes: []bus.Purpose{bus.PurposeVerification}}
	}
	return res
}

var itemWords = []string{
	"统一社会信用代码", "企业名称", "法定代表人", "证件号码", "联系电话", "住所", "注册资本", "成立日期", "行政相对人类别", "许可编号",
	"有效期至", "审批部门", "数据来源", "更新时间", "备注", "行政区划代码", "地址", "经度", "纬度", "所属乡镇",
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// startOn starts the index on another view of the directory.
func (w *world) startOn(d search.Directory) *world {
	w.tb.Helper()
	w.Index = search.Open(search.Config{Dir: w.indexDir(), Directory: d, Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
	w.tb.Cleanup(func() { check(w.tb, w.Index.Close()) })
	return w
}

func (w *world) directory() *directory.Directory {
	return directory.New("gz", w.store, nil, nil, time.Now)
}

// forgetful is a directory whose change log is cleared once.
type forgetful struct {
	*world
	forget  atomic.Bool
	resyncs atomic.Int32
}

func (f *forgetful) View(fn func(*state.Tx) error) error { return f.store.View(fn) }

func (f *forgetful) Changes(ctx context.Context, from bus.Revision, of ...state.Table) (state.Batch, error) {
	batch, err := f.directory().Changes(ctx, from, of...)
	if err == nil && f.forget.CompareAndSwap(true, false) {
		f.resyncs.Add(1)
		return state.Batch{}, bus.E(bus.CodeResync)
	}
	return batch, err
}

// busy is a directory that, from a moment on, somebody writes to whenever it is read.
type busy struct {
	*world
	begun   atomic.Bool
	written int
}

func (b *busy) View(fn func(*state.Tx) error) error {
	if b.begun.Load() {
		b.written++
		b.write(command.DraftPut, sysadmin, content(resource(b.written, market, "灯塔", "")))
	}
	return b.store.View(fn)
}

func (b *busy) Changes(ctx context.Context, from bus.Revision, of ...state.Table) (state.Batch, error) {
	return b.directory().Changes(ctx, from, of...)
}

// slow is a directory that is read a step at a time.
type slow struct {
	*world
	step chan struct{}
}

func (s *slow) View(fn func(*state.Tx) error) error {
	<-s.step
	return s.store.View(fn)
}

func (s *slow) Changes(ctx context.Context, from bus.Revision, of ...state.Table) (state.Batch, error) {
	return s.directory().Changes(ctx, from, of...)
}
