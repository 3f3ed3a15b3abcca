package intake

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
)

// Node takes drafts in, each the JSON of a bus.DraftContent, or with dry only says what would become of them. It
// answers a request id that comes again as it did the first time.
type Node interface {
	Import(ctx context.Context, request string, drafts []json.RawMessage, submit, dry bool) ([]bus.ImportRow, error)
}

// Source yields the entries of a file; io.EOF ends it. Each is made by the function
// that comes back, beside others.
type Source interface {
	Read() (func() catalogue.Entry, error)
}

// Config says what is taken in, and how.
type Config struct {
	Source  Source
	File    string // its name, for the report
	Mapping string
	Spool   *os.File // what is fit is kept here until it is sent; nil to check only
	Submit  bool     // put what is complete up for review
	DryRun  bool
	Journal *Journal          // nil: nothing is remembered
	Chunk   int               // bytes of a request, 400 KiB where 0
	Flights int               // requests at once, 4 where 0
	Step    func(entries int) // after each answered chunk
}

const (
	chunkBytes = 400 << 10 // with what surrounds it below a log entry's 512 KiB
	flights    = 4
	maxEntry   = chunkBytes - 1<<10
)

// Intake is one file on its way in.
type Intake struct {
	Config
	report  Report
	spooled int64
	mu      sync.Mutex // one Step at a time
}

// New makes an intake.
func New(c Config) *Intake {
	if c.Chunk == 0 {
		c.Chunk = chunkBytes
	}
	if c.Flights == 0 {
		c.Flights = flights
	}
	if c.Step == nil {
		c.Step = func(int) {}
	}
	return &Intake{Config: c, report: Report{File: c.File, Mapping: c.Mapping, DryRun: c.DryRun, Synthetic: map[string]int{}}}
}

// Check reads the whole file and judges each entry by itself and beside the
// others. An error means that the file cannot be used; nothing was sent then.
func (in *Intake) Check() (*Report, error) {
	in.report.Entries = []Result{}
	seen := map[string]int{} // id and code → entry
	var spool *bufio.Writer
	if in.Spool != nil {
		spool = bufio.NewWriterSize(in.Spool, 256<<10)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for lot := range in.examined(ctx) {
		for _, x := range <-lot {
			if x.err != nil {
				return nil, x.err
			}
			in.compare(&x.entry, &x.Result, seen)
			if x.sent() && spool != nil {
				x.at = in.spooled
				in.spooled += int64(len(x.text))
				_, _ = spool.Write(x.text) // told by Flush
			}
			in.report.Entries = append(in.report.Entries, x.Result)
		}
	}
	if spool != nil {
		if err := spool.Flush(); err != nil {
			return nil, err
		}
	}
	in.report.Checked = true
	return &in.report, in.report.count()
}

// examined is an entry judged by itself, and the text that is sent of it.
type examined struct {
	Result
	entry catalogue.Entry
	text  []byte
	err   error // ends the file here
}

const lotSize = 128 // entries that are examined together

// examined yields the entries of the file in its order, in lots that are examined
// beside each other, until ctx ends.
func (in *Intake) examined(ctx context.Context) <-chan chan []examined {
	lots := make(chan chan []examined, runtime.GOMAXPROCS(0))
	go func() {
		defer close(lots)
		for ended := false; !ended; {
			var made []func() catalogue.Entry
			var broken []examined
			for len(made) < lotSize && !ended {
				next, err := in.Source.Read()
				if ended = err != nil; !ended {
					made = append(made, next)
				} else if !errors.Is(err, io.EOF) {
					broken = []examined{{err: err}}
				}
			}
			lot := make(chan []examined, 1)
			go func() {
				entries := make([]examined, 0, len(made)+1)
				for _, next := range made {
					entries = append(entries, examine(next()))
				}
				lot <- append(entries, broken...)
			}()
			select {
			case lots <- lot:
			case <-ctx.Done():
				return
			}
		}
	}()
	return lots
}

// examine makes the result of an entry by itself, and the text that is sent.
func examine(e catalogue.Entry) examined {
	r := &e.Draft.Resource
	x := examined{entry: e, Result: Result{Row: e.Row, Rows: e.Rows, ID: r.ID, Name: r.Name, place: e.Place()}}
	if len(r.Codes) > 0 {
		x.Code = r.Codes[0]
	}
	if x.text, x.err = json.Marshal(bus.DraftContent{Resource: e.Draft.Resource, Clearance: e.Draft.Clearance}); x.err != nil {
		return x
	}
	sum := sha256.Sum256(x.text)
	x.size = len(x.text)
	copy(x.sum[:], sum[:])
	if x.size > maxEntry {
		x.entry.Note(catalogue.Refused, bus.Defect{Problem: bus.Text{ZH: "目录条目过大", EN: "the entry is too large"}, Allowed: fmt.Sprintf("%d bytes", maxEntry)})
	}
	for _, n := range x.entry.Notes {
		if n.Kind != catalogue.Synthetic {
			x.Notes = append(x.Notes, n)
		}
	}
	x.judge()
	return x
}

// compare finds entries that are in the file before: one that says the same is
// merged with it, another one is refused, or the last would win by accident.
func (in *Intake) compare(e *catalogue.Entry, result *Result, seen map[string]int) {
	fields := map[string]bool{}
	for _, n := range e.Notes {
		if n.Kind == catalogue.Synthetic && !fields[n.Field] {
			fields[n.Field] = true
			in.report.Synthetic[n.Field]++
		}
	}
	if result.Verdict == Refused {
		return
	}
	var names []string
	if result.ID != "" {
		names = append(names, "id "+string(result.ID))
	}
	for _, code := range e.Draft.Resource.Codes {
		names = append(names, "code "+string(code))
	}
	for _, name := range names {
		at, found := seen[name]
		if !found {
			continue
		}
		first := &in.report.Entries[at]
		if first.sum == result.sum {
			result.Merged = first.Row
			result.note(catalogue.Mended, fmt.Sprintf("与第 %d 行相同，已合并", first.Row), fmt.Sprintf("says what row %d says; merged", first.Row))
			return
		}
		result.note(catalogue.Refused, fmt.Sprintf("第 %d 行已有此代码或标识", first.Row), fmt.Sprintf("row %d has this code or id", first.Row))
		return
	}
	for _, name := range names {
		seen[name] = len(in.report.Entries)
	}
}

// note adds a note about the entry's code.
func (r *Result) note(kind catalogue.Kind, zh, en string) {
	r.Notes = append(r.Notes, r.place.Note(kind, bus.Defect{Field: "codes", Problem: bus.Text{ZH: zh, EN: en}}))
	r.judge()
}

// Pending is how many entries are to be sent.
func (in *Intake) Pending() int {
	n := 0
	for i := range in.report.Entries {
		if in.report.Entries[i].sent() {
			n++
		}
	}
	return n
}

func (r *Result) sent() bool { return r.Verdict != Refused && r.Merged == 0 }

// Send sends what Check found fit to the node and returns the whole account.
// After an error some of it may have been taken; to send all again is safe.
func (in *Intake) Send(ctx context.Context, node Node) (*Report, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	chunks := make(chan chunk)
	var flying sync.WaitGroup
	for range in.Flights {
		flying.Go(func() {
			for c := range chunks {
				if err := in.carry(ctx, node, c); err != nil {
					stop(err)
				}
			}
		})
	}
	in.load(ctx, chunks)
	close(chunks)
	flying.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	in.report.Checked = false
	return &in.report, in.report.count()
}

// chunk is what one request carries. Its results are no other chunk's.
type chunk struct {
	results []*Result
	size    int
}

// load hands on what is to be sent, in chunks; it stops when ctx ends.
func (in *Intake) load(ctx context.Context, chunks chan<- chunk) {
	var next chunk
	hand := func() {
		select {
		case chunks <- next:
		case <-ctx.Done():
		}
		next = chunk{}
	}
	for _, result := range in.ordered() {
		if next.size+result.size+1 > in.Chunk && len(next.results) > 0 {
			hand()
		}
		next.results = append(next.results, result)
		next.size += result.size + 1
	}
	if len(next.results) > 0 {
		hand()
	}
}

// ordered lists what is to be sent by code, and so nearly as it will lie in the
// directory: neighbours that come together share the pages that are written.
func (in *Intake) ordered() []*Result {
	results := make([]*Result, 0, len(in.report.Entries))
	for i := range in.report.Entries {
		if result := &in.report.Entries[i]; result.sent() {
			results = append(results, result)
		}
	}
	slices.SortStableFunc(results, func(a, b *Result) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.ID, b.ID))
	})
	return results
}

// drafts reads a chunk's texts.
func (in *Intake) drafts(c chunk) ([]json.RawMessage, error) {
	drafts := make([]json.RawMessage, len(c.results))
	for i, r := range c.results {
		drafts[i] = make([]byte, r.size)
		if _, err := in.Spool.ReadAt(drafts[i], r.at); err != nil {
			return nil, err
		}
	}
	return drafts, nil
}

// carry sends one chunk, unless the journal says that it was acknowledged, and
// writes down what became of it.
func (in *Intake) carry(ctx context.Context, node Node, c chunk) error {
	if ctx.Err() != nil {
		return nil // another has failed
	}
	sum := c.digest()
	rows, done := in.Journal.acknowledged(sum)
	if !done {
		drafts, err := in.drafts(c)
		if err != nil {
			return err
		}
		if rows, err = node.Import(ctx, in.Journal.request(sum), drafts, in.Submit, in.DryRun); err != nil {
			return err
		}
		if len(rows) != len(drafts) {
			return bus.E(bus.CodeInternal, bus.Defect{Field: "rows", Problem: bus.Text{ZH: "节点应答的行数不符", EN: "the node answered another number of rows"}})
		}
		if err := in.Journal.acknowledge(sum, rows); err != nil {
			return err
		}
	}
	if len(rows) != len(c.results) {
		return bus.E(bus.CodeInvalid, bus.Defect{Field: "journal", Problem: bus.Text{ZH: "续传记录已损坏，请删除后重新导入", EN: "the journal is damaged: remove it and import again"}})
	}
	for i, row := range rows {
		c.results[i].answer(row)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.Step(len(rows))
	return nil
}

// digest names the chunk by its content.
func (c chunk) digest() string {
	h := sha256.New()
	for _, r := range c.results {
		h.Write(r.sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// answer writes down what the node made of an entry. What the file's check knew
// already is not said again.
func (r *Result) answer(row bus.ImportRow) {
	r.ID, r.Outcome, r.State = row.ID, row.Outcome, row.State
	kind := catalogue.Lacking
	if row.Outcome == bus.OutcomeRefused {
		kind, r.Outcome = catalogue.Refused, bus.OutcomeRefused
	}
	known := map[string]bool{}
	for _, n := range r.Notes {
		known[string(n.Kind)+n.Field] = true
	}
	defects := row.Defects
	if kind == catalogue.Refused && len(defects) == 0 {
		defects = []bus.Defect{{Problem: row.Code.Text()}}
	}
	for _, d := range defects {
		if !known[string(kind)+d.Field] {
			r.Notes = append(r.Notes, r.place.Note(kind, d))
		}
	}
}

// Totals gives the counts of a report without its entries.
func (r *Report) Totals() Report {
	totals := *r
	totals.Entries = nil
	totals.Synthetic = maps.Clone(r.Synthetic)
	return totals
}
