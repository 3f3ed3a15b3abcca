package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// told is a change as a node writes it.
func told(index int, kind, key, what string) string {
	return fmt.Sprintf(`data: {"specversion":"1.0","id":"%d/%s/%s","source":"/clusters/gd/directory","type":"cn.gxbus.directory.%[2]s.%[4]s",`+
		`"subject":"%[3]s","gxbusindex":"%[1]d","datacontenttype":"application/json","data":{"id":%[3]q}}`+"\n\n", index, kind, key, what)
}

// scripted is a node that answers each connection with the next of its answers.
func scripted(t *testing.T, answers ...string) (*client.Client, *[]string) {
	var asked []string
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		if len(asked) > len(answers) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusGone)
			_, _ = w.Write([]byte(`{"code":"resync-required","title":"t"}`))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, answers[len(asked)-1])
	}))
	t.Cleanup(node.Close)
	return connect(t, node, client.Config{Backoff: time.Millisecond}), &asked
}

func TestWatchGoesOnWhereItWas(t *testing.T) {
	c, asked := scripted(t,
		"retry: 1000\nid: 7\n\n:\n\n"+"id: 8\n"+told(8, "resource", "a", "put"),
		// Two changes of one entry of the log: the first has no id, and comes again.
		told(9, "grant", "g", "put")+"id: 9\ndata: {\"spec",
		told(9, "grant", "g", "put")+"id: 9\n"+told(9, "system", "s", "deleted")+"id: 12\n\n",
	)
	var got []string
	var last error
	for change, err := range c.Watch(t.Context(), client.Now, "resource", "grant", "system") {
		if last = err; err != nil {
			break
		}
		var entry struct{ ID string }
		if err := change.Entry(&entry); err != nil || entry.ID != change.Key {
			t.Errorf("%+v: %v", entry, err)
		}
		got = append(got, fmt.Sprint(change.Index, change.Kind, change.Key, change.Deleted))
	}
	if want := []string{"8 resource a false", "9 grant g false", "9 grant g false", "9 system s true"}; !slices.Equal(flat(got), flat(want)) {
		t.Errorf("told %q", got)
	}
	if !client.IsCode(last, bus.CodeResync) {
		t.Errorf("it ended with %v", last)
	}
	kinds := "kind=resource%2Cgrant%2Csystem"
	if want := []string{kinds, "from=8&" + kinds, "from=8&" + kinds, "from=12&" + kinds}; !slices.Equal(*asked, want) {
		t.Errorf("asked %q", *asked)
	}
}

func flat(lines []string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, strings.ReplaceAll(l, " ", ""))
	}
	return out
}

func TestWatchEnds(t *testing.T) {
	problem := `event: problem` + "\n" + `data: {"code":"unauthenticated","title":"t","status":401}` + "\n\n"
	for name, c := range map[string]struct {
		answer string
		code   bus.Code
	}{
		"with the reason that the node gives":     {"id: 3\n\n" + problem, bus.CodeUnauthenticated},
		"at a message that is not understood":     {"data: {}\n\n", bus.CodeMalformedEvent},
		"at a change of no index":                 {strings.Replace(told(1, "grant", "g", "put"), "gxbusindex", "other", 1), bus.CodeMalformedEvent},
		"at an endless message":                   {strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 17), bus.CodeTooLarge},
		"where the node has forgotten what it is": {"", bus.CodeResync},
	} {
		t.Run(name, func(t *testing.T) {
			api, _ := scripted(t, c.answer)
			n := 0
			for change, err := range api.Watch(t.Context(), 1) {
				if n++; !client.IsCode(err, c.code) {
					t.Errorf("%+v, %v; want %s", change, err, c.code)
				}
			}
			if n != 1 {
				t.Errorf("%d pairs", n)
			}
		})
	}
	api, _ := scripted(t, told(1, "grant", "g", "put")+told(2, "grant", "g", "put"))
	for _, err := range api.Watch(t.Context(), 0) {
		if err != nil {
			t.Error(err)
		}
		break // and nothing more is yielded
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range api.Watch(ctx, 0) {
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) && !client.IsCode(err, bus.CodeResync) {
			t.Error(err)
		}
	}
}

func TestReadsAskForWhatTheyMustShow(t *testing.T) {
	var asked []string
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RawQuery)
		w.Header().Set("Gxbus-Index", "41")
		if r.Method == http.MethodGet {
			w.Header().Set("Gxbus-Index", "99")
		}
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(node.Close)
	c := connect(t, node, client.Config{})
	_, err := c.Departments().List(t.Context())
	same := c.WithToken("gxs_other")
	if err == nil {
		_, err = same.Departments().Put(t.Context(), bus.Department{ID: "d"})
	}
	if err == nil {
		_, err = c.AtLeast(c.Written()).Departments().Read(t.Context(), "d")
	}
	if err == nil {
		_, err = c.Consistent().AtLeast(7).Departments().Read(t.Context(), "d")
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"GET ", "PUT ", "GET min-index=41", "GET consistent=true&min-index=7"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}

// body is a transport that answers every request with one stream.
type body []byte

func (b body) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(bytes.NewReader(b)), Request: r,
	}, nil
}

func FuzzWatchReadsWhateverANodeSends(f *testing.F) {
	f.Add([]byte("id: 1\n" + told(1, "grant", "g", "put") + "event: problem\ndata: {}\n\n:\n\nid\n\ndata\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		c, err := client.New(client.Config{Server: "node.example:1", Transport: body(sent), Backoff: time.Nanosecond, Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		var last error
		for change, err := range c.Watch(ctx, 0) {
			if last != nil {
				t.Fatal("it went on after ", last)
			}
			if last = err; err == nil && (change.Kind == "" || change.Key == "") {
				t.Errorf("told of %+v", change)
			}
		}
		if last == nil {
			t.Error("it ended without a reason")
		}
	})
}
