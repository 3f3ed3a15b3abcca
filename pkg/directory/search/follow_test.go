package search_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/search"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func (w *world) resource(id bus.ResourceID) (r bus.Resource) {
	w.tb.Helper()
	check(w.tb, w.store.View(func(tx *state.Tx) error {
		r, _ = tx.Resource(id)
		return nil
	}))
	return r
}

func (w *world) finds(t *testing.T, words string, want ...bus.ResourceID) {
	t.Helper()
	if got := w.ids(search.Query{Words: words, Sort: search.SortID}); !slices.Equal(got, want) {
		t.Errorf("%q finds %v, want %v", words, got, want)
	}
}

func TestAWriteIsFoundOnceTheIndexHasCaughtUp(t *testing.T) {
	w := newWorld(t).start()
	w.caughtUp()
	r := resource(1, market, "渔船登记", "")
	w.put(r)
	w.caughtUp()
	w.finds(t, "渔船", r.ID)

	r = w.resource(r.ID)
	r.Name = "船舶登记"
	w.put(r)
	w.caughtUp()
	w.finds(t, "渔船")
	w.finds(t, "船舶", r.ID)

	w.write(command.DraftPut, sysadmin, content(withName(r, "拖网渔船登记")))
	w.caughtUp()
	w.finds(t, "拖网")
	hits := w.find(search.Query{Words: "拖网", Where: map[search.Dimension][]string{search.ByState: {"draft"}}}).Hits
	if len(hits) != 1 || hits[0] != (search.Hit{ID: r.ID, Draft: true}) {
		t.Errorf("the draft: %v", hits)
	}

}

func withName(r bus.Resource, name string) bus.Resource {
	r.Name = name
	return r
}

func TestADepartmentsNewNameAndPlaceShow(t *testing.T) {
	w := newWorld(t).start()
	w.put(resource(1, market, "甲", ""), resource(2, health, "乙", ""))
	w.caughtUp()
	w.finds(t, "市场监督", "res-000001")
	var d bus.Department
	check(t, w.store.View(func(tx *state.Tx) error { d, _ = tx.Department(market); return nil }))
	d.Name = "深圳市知识产权局"
	w.writeAt(command.DepartmentPut, sysadmin, d.Revision, d)
	w.caughtUp()
	w.finds(t, "市场监督")
	w.finds(t, "知识产权", "res-000001")
}

// A stopped node's index is as good as it was; what happened meanwhile is followed.
func TestARestartFollowsWhatWasMissed(t *testing.T) {
	w := newWorld(t)
	total := few(1200)
	w.put(synthetic(total)...)
	w.start().caughtUp()
	check(t, w.Close())
	w.withdraw("res-000007")
	w.put(resource(5000, market, "航标", ""))
	w.start().caughtUp()
	w.finds(t, "航标", "res-005000")
	w.finds(t, "res-000007")
	if n := w.find(search.Query{}).Total; n != total {
		t.Errorf("%d entries", n)
	}
	if n := w.log.count("is being made"); n != 1 {
		t.Errorf("the index was made %d times", n)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Whatever is done to the files while the node is down, it comes back with an
// index that finds what there is.
func TestADamagedIndexIsMadeAnew(t *testing.T) {
	sound, total := newWorld(t), few(700)
	sound.put(synthetic(total)...)
	sound.start().caughtUp()
	want := sound.ids(search.Query{Words: "渔船"})
	sound.persisted(t)
	check(t, sound.Close())
	for name, damage := range map[string]func(t *testing.T, dir string){
		"all of it is lost": func(t *testing.T, dir string) { check(t, os.RemoveAll(dir)) },
		"a file where it was": func(t *testing.T, dir string) {
			check(t, os.RemoveAll(dir))
			check(t, os.WriteFile(dir, []byte("x"), 0o600))
		},
		"the root is lost":      func(t *testing.T, dir string) { check(t, os.Remove(filepath.Join(dir, "root.bolt"))) },
		"the root is garbage":   func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, "root.bolt"), 0, 1<<20) },
		"a segment is lost":     func(t *testing.T, dir string) { check(t, os.Remove(segment(t, dir))) },
		"a segment is cut":      func(t *testing.T, dir string) { check(t, os.Truncate(segment(t, dir), 100)) },
		"a segment is empty":    func(t *testing.T, dir string) { check(t, os.Truncate(segment(t, dir), 0)) },
		"a segment has a wound": func(t *testing.T, dir string) { overwrite(t, segment(t, dir), 500, 64) },
		"another's segment": func(t *testing.T, dir string) {
			check(t, os.WriteFile(filepath.Join(dir, "x.zap"), []byte("x"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{tb: t, dir: t.TempDir(), store: sound.store, at: sound.at}
			copyDir(t, sound.indexDir(), w.indexDir())
			damage(t, w.indexDir())
			w.start().caughtUp()
			if got := w.ids(search.Query{Words: "渔船"}); len(want) == 0 || !slices.Equal(got, want) {
				t.Errorf("%d are found of %d", len(got), len(want))
			}
			if n := w.find(search.Query{}).Total; n != total {
				t.Errorf("%d entries", n)
			}
			if n := w.log.count("is being made"); n != 1 && strings.Contains(name, "wound") { // that nothing else tells of
				t.Errorf("the index was made %d times", n)
			}
		})
	}
}

// persisted waits until there are segments on disk.
func (w *world) persisted(t *testing.T) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := filepath.Glob(filepath.Join(w.indexDir(), "*.zap"))
		check(t, err)
		if len(found) > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("no segment came to the disk")
		}
	}
}

func segment(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.zap"))
	check(t, err)
	slices.SortFunc(found, func(a, b string) int {
		x, _ := os.Stat(a)
		y, _ := os.Stat(b)
		return int(y.Size() - x.Size())
	})
	return found[0]
}

func overwrite(t *testing.T, file string, at, n int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(n)), at)
	check(t, err)
}

// A copy of the files taken at any moment is what a crash leaves: the index comes
// back from each.
func TestACrashAtAnyMomentIsSurvived(t *testing.T) {
	w := newWorld(t)
	made := synthetic(few(2500))
	w.start().caughtUp()
	var crashes []string
	for part := range slices.Chunk(made, len(made)/10) {
		w.put(part...)
		crash := filepath.Join(t.TempDir(), "search")
		copyDir(t, w.indexDir(), crash)
		crashes = append(crashes, crash)
	}
	w.caughtUp()
	want := w.ids(search.Query{Words: "民办学校"})
	check(t, w.Close())
	for i, crash := range crashes {
		check(t, os.RemoveAll(w.indexDir()))
		check(t, os.Rename(crash, w.indexDir()))
		w.start().caughtUp()
		if got := w.ids(search.Query{Words: "民办学校"}); !slices.Equal(got, want) {
			t.Errorf("crash %d: %d found of %d", i, len(got), len(want))
		}
		check(t, w.Close())
	}
}

// copyDir copies files as they are at the moment; one that is removed meanwhile is
// left out.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	check(t, os.MkdirAll(to, 0o700))
	for _, name := range files(t, from) {
		data, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) {
			continue
		}
		check(t, err)
		check(t, os.WriteFile(filepath.Join(to, name), data, 0o600))
	}
}

// An index that is further than the directory is another directory's.
func TestAnIndexOfALaterDirectoryIsMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.put(synthetic(50)...)
	var snapshot bytes.Buffer
	s, err := w.store.Snapshot()
	check(t, err)
	_, err = s.WriteTo(&snapshot)
	check(t, err)
	check(t, s.Close())
	w.start()
	w.put(resource(900, market, "航标", ""))
	w.caughtUp()
	w.persisted(t)
	check(t, w.Close())
	check(t, w.store.Restore(&snapshot))
	w.at -= 2
	w.start().caughtUp()
	w.finds(t, "航标")
	w.put(resource(901, market, "灯塔", "")) // at an index that the other directory had too
	w.caughtUp()
	w.finds(t, "灯塔", "res-000901")
	if n := w.find(search.Query{}).Total; n != 51 {
		t.Errorf("%d entries", n)
	}
}

// A replica that is replaced by a snapshot whose change log begins later is indexed
// from the beginning.
func TestAResyncIsARebuild(t *testing.T) {
	w := newWorld(t)
	w.put(synthetic(20)...)
	d := &forgetful{world: w}
	w.startOn(d).caughtUp()
	d.forget.Store(true)
	w.put(resource(900, market, "航标", ""))
	w.caughtUp()
	w.finds(t, "航标", "res-000900")
	if n := w.find(search.Query{}).Total; n != 21 {
		t.Errorf("%d entries", n)
	}
	if n := w.log.count("is being made"); d.resyncs.Load() != 1 || n != 2 {
		t.Errorf("forgotten %d times, the index was made %d times", d.resyncs.Load(), n)
	}
}

// The index waits for the end of an import, and this one has none; but not while
// somebody waits for it.
func TestWhoWantsTheIndexGetsItWhileAnImportRuns(t *testing.T) {
	w := newWorld(t)
	d := &busy{world: w}
	w.startOn(d).caughtUp()
	var imported command.Import
	for i := range 250 {
		imported.Drafts = append(imported.Drafts, content(resource(900_000+i, market, "航标", "")))
	}
	d.begun.Store(true)
	index := w.apply(w.entry(command.DraftImport, sysadmin, 0, imported))[0].Index
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // far less than the index waits at most
	defer cancel()
	check(t, w.Wait(ctx, index))
	if n := w.find(search.Query{Words: "航标", Where: map[search.Dimension][]string{search.ByState: {"draft"}}}).Total; n != 250 {
		t.Errorf("%d are found", n)
	}
}

func TestAnswersTellThatTheIndexIsBeingMade(t *testing.T) {
	w := newWorld(t)
	w.put(synthetic(2000)...)
	d := &slow{world: w, step: make(chan struct{})}
	w.startOn(d)
	seen := search.Progress{}
	for i := 0; seen.Indexed < 1000; i++ {
		select {
		case d.step <- struct{}{}:
		case <-time.NewTimer(patience).C:
			t.Fatal("the index does not read on")
		}
		seen = w.find(search.Query{}).Progress
		if seen.Complete {
			t.Fatalf("it says to be complete: %+v", seen)
		}
	}
	a := w.find(search.Query{})
	if a.Progress.Total != 2000 || a.Total == 0 || a.Total >= 2000 {
		t.Errorf("%d found, %+v", a.Total, a.Progress)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := w.Wait(ctx, 1); err != context.DeadlineExceeded {
		t.Errorf("waiting for it: %v", err)
	}
	close(d.step)
	w.caughtUp()
	if p := w.Progress(); !p.Complete || p.Indexed != 2000 || p.Total != 2000 {
		t.Errorf("%+v", p)
	}
}

func TestCursorsAreBoundToTheirQuery(t *testing.T) {
	w := newWorld(t)
	w.put(synthetic(60)...)
	w.start().caughtUp()
	q := search.Query{Words: "登记", Limit: 2}
	q.Cursor = w.find(q).Next
	if again := w.find(search.Query{Words: " 登记 ", Limit: 5, Cursor: q.Cursor, Facets: search.Dimensions()}); len(again.Hits) != 5 {
		t.Errorf("another length of page, and facets: %v", again.Hits)
	}
	for name, foreign := range map[string]search.Query{
		"other words":  {Words: "许可", Limit: 2, Cursor: q.Cursor},
		"other filter": {Words: "登记", Limit: 2, Cursor: q.Cursor, Where: map[search.Dimension][]string{search.ByFormat: {"file"}}},
		"other order":  {Words: "登记", Limit: 2, Cursor: q.Cursor, Sort: search.SortName},
		"cut":          {Words: "登记", Limit: 2, Cursor: q.Cursor[:len(q.Cursor)-1]},
		"longer":       {Words: "登记", Limit: 2, Cursor: q.Cursor + "A"},
		"endless":      {Words: "登记", Limit: 2, Cursor: strings.Repeat(q.Cursor, 100)},
		"changed":      {Words: "登记", Limit: 2, Cursor: "B" + q.Cursor[1:]},
	} {
		_, err := w.Search(context.Background(), foreign, everything{})
		if bus.CodeOf(err) != bus.CodeInvalid || !slices.Equal(fieldsOf(err), []string{"cursor"}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An index that cannot be opened says why, and goes on once it can be.
func TestAnIndexThatCannotBeOpenedSaysWhy(t *testing.T) {
	w := newWorld(t)
	blocked := filepath.Join(w.dir, "file")
	check(t, os.WriteFile(blocked, nil, 0o600))
	w.Index = search.Open(search.Config{Dir: filepath.Join(blocked, "search"), Directory: w.directory(), Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
	t.Cleanup(func() { check(t, w.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, behind, err := w.Current(ctx); !behind || err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("behind %v, %v", behind, err)
	}
	check(t, os.Remove(blocked))
	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if p, behind, err := w.Current(ctx); behind || err != nil || !p.Complete {
		t.Errorf("once it can be opened: %+v, behind %v, %v", p, behind, err)
	}
}
