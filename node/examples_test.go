package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// The programs of docs/examples are run as their reader would, against three nodes:
// each publishes, pulls, is called by a webhook, and queries.
func TestExamples(t *testing.T) {
	a := newAgencies(t)
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			for _, p := range e.needs {
				if _, err := exec.LookPath(p); err != nil {
					skipUnlessCI(t, p+" is not installed")
				}
			}
			e.t, e.dir, e.subscription = t, t.TempDir(), bus.SubscriptionID(subscribed+"-"+e.name)
			e.copy()
			switch e.name {
			case "node":
				e.install()
			case "go":
				e.build()
			}
			a.show(&e)
		})
	}
}

var examples = []example{
	{name: "curl", file: "agency.sh", line: []string{"./agency.sh"}, needs: []string{"curl", "openssl", "socat"}},
	{name: "python", file: "agency.py", line: []string{"python3", "agency.py"}, needs: []string{"python3"}},
	{name: "node", file: "agency.mjs", line: []string{"node", "agency.mjs"}, needs: []string{"node", "npm"}},
	{name: "java", file: "Agency.java", line: []string{"java", "Agency.java"}, needs: []string{"javac"}},
	{name: "go", file: "main.go", line: []string{"./agency"}, needs: []string{"go"}},
}

// example is a program of docs/examples in a folder of its own.
type example struct {
	name, file string
	line       []string // that runs it
	needs      []string // programs; the CI has them all

	t            *testing.T
	dir          string
	subscription bus.SubscriptionID
}

func skipUnlessCI(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: ", why)
}

// copy makes a copy of the program, in which the names of the subscription and the grant
// are changed.
func (e *example) copy() {
	e.t.Helper()
	must(e.t, os.CopyFS(e.dir, os.DirFS(filepath.Join("..", "docs", "examples", e.name))))
	path := filepath.Join(e.dir, e.file)
	text, err := os.ReadFile(path)
	must(e.t, err)
	must(e.t, os.WriteFile(path, bytes.ReplaceAll(text, []byte(subscribed), []byte(e.subscription)), 0o700))
}

// agencies are a provider and a consumer as docs/api.md names them, each with its node.
type agencies struct {
	*nodetest.Cluster
	provider, consumer *nodetest.Node
	bearers            map[*nodetest.Node]string
}

const subscribed = "tianhe-registration" // the subscription of the examples, and its grant

func newAgencies(t *testing.T) *agencies {
	t.Helper()
	ctx := context.Background()
	all := fleet.Province()
	a := &agencies{bearers: map[*nodetest.Node]string{}, Cluster: nodetest.StartWith(t, nodetest.Options{
		Config: func(c *server.Config) { c.WebhookNetworks = "127.0.0.0/8" },
	}, all[0], all[2], all[3])}
	a.provider, a.consumer = a.Nodes["shenzhen"], a.Nodes["tianhe"]
	admin := a.Client("sysadmin")
	for _, s := range []struct {
		at *nodetest.Node
		id bus.SystemID
		of bus.Department
	}{{a.provider, "market-registry", sample.ShenzhenMarket}, {a.consumer, "tianhe-permits", sample.TianheServices}} {
		_, err := admin.Departments().Put(ctx, s.of)
		must(t, err)
		credential, err := admin.Systems().Put(ctx, bus.System{ID: s.id, Department: s.of.ID, Name: string(s.id)})
		must(t, err)
		a.bearers[s.at] = credential.Bearer
	}
	resource := sample.EnterpriseRegistration()
	a.Publish(resource)
	for _, e := range examples {
		_, err := a.Client("secadmin").Grants().Put(ctx, sample.Grant(bus.GrantID(subscribed+"-"+e.name), resource, sample.TianheServices))
		must(t, err)
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `[{"uscc":%q,"enterprise_name":"样例企业有限公司","phone":"19900000001"}]`, strings.TrimPrefix(r.URL.Path, "/firms/"))
	}))
	t.Cleanup(service.Close)
	_, err := a.system(a.provider).PutBinding(ctx, binding.Binding{Resource: resource.ID, HTTP: &binding.HTTP{URL: service.URL + "/firms/{uscc}"}})
	must(t, err)
	nodetest.Eventually(t, "the consumer's node knows the grants", func() error {
		_, err := a.system(a.consumer).Grants().Read(ctx, bus.GrantID(subscribed+"-"+examples[len(examples)-1].name))
		return err
	})
	return a
}

func (a *agencies) system(at *nodetest.Node) *client.Client { return at.Client(a.bearers[at]) }

// environment is what an example is told.
func (a *agencies) environment(at *nodetest.Node, more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LC_ALL=C.UTF-8",
		"NODE=https://" + at.Config.APIListen, "CA=" + at.CA(), "TOKEN=" + a.bearers[at],
	}, more...)
}

// show goes through what an example does.
func (a *agencies) show(e *example) {
	consumer := a.system(a.consumer)
	defer func() { // it is not to hear of the others' events
		s, err := consumer.Subscriptions().Read(context.Background(), e.subscription)
		must(e.t, err)
		must(e.t, consumer.Subscriptions().Delete(context.Background(), e.subscription, s.Revision))
	}()

	pulling := e.start(a.environment(a.consumer), "pull")
	nodetest.Eventually(e.t, "it has subscribed", func() error {
		return errors.Join(pulling.early(), second(consumer.Subscriptions().Read(context.Background(), e.subscription)))
	})
	a.arrives(e, pulling)
	pulling.stop()

	endpoint := "http://" + nodetest.FreeAddress(e.t) + "/events"
	called := e.start(a.environment(a.consumer, "ENDPOINT="+endpoint, "SECRET=0123456789abcdef"), "webhook")
	nodetest.Eventually(e.t, "it has a sink that is active", func() error {
		sink, err := consumer.Subscriptions().Sink(context.Background(), e.subscription)
		if err == nil && !sink.Active {
			err = errors.New(sink.Why)
		}
		return errors.Join(called.early(), err)
	})
	a.arrives(e, called)
	forge(e.t, endpoint)
	called.stop()
	if strings.Contains(called.said(), "forged") {
		e.t.Errorf("took what no node signed:\n%s", called.said())
	}

	if said := e.run(a.environment(a.consumer), "query"); !strings.Contains(said, "样例企业有限公司") || !masked(said) || !strings.Contains(said, "91440300MA5SAMPLE1") {
		e.t.Errorf("the answer to its query:\n%s", said)
	}
	if e.line[0] == "./agency.sh" {
		if said := e.run(a.environment(a.provider), "schema"); !strings.Contains(said, `"$schema":"https://json-schema.org/draft/2020-12/schema"`) {
			e.t.Errorf("the schema:\n%s", said)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// masked reports whether a phone is there, and masked.
func masked(text string) bool {
	return strings.Contains(text, "199****0001") && !strings.Contains(text, "19900000001")
}

var eventID = regexp.MustCompile(`registration-[0-9A-Za-z-]+`)

// arrives has an example publish an event, and another run of it receive and
// acknowledge it.
func (a *agencies) arrives(e *example, receiving *running) {
	e.t.Helper()
	id := eventID.FindString(e.run(a.environment(a.provider), "publish"))
	if id == "" {
		e.t.Fatal("it does not say which event it published")
	}
	nodetest.Eventually(e.t, id+" is received and acknowledged", func() error {
		if err := receiving.early(); err != nil {
			return err
		}
		found, err := a.system(a.provider).Deliveries(context.Background(), id, "")
		if err == nil && (len(found) != 1 || len(found[0].Deliveries) != 1 || found[0].Deliveries[0].State != bus.DeliveryAcknowledged) {
			err = fmt.Errorf("it is %+v", found)
		}
		return err
	})
	if said := receiving.said(); !strings.Contains(said, id) || !strings.Contains(said, "样例企业") || !masked(said) {
		e.t.Errorf("it received %s and said:\n%s", id, said)
	}
}

// forge sends an endpoint what is signed with another secret, and what is not signed.
func forge(t *testing.T, endpoint string) {
	t.Helper()
	for _, signature := range []string{"v1,Zm9yZ2Vk", ""} {
		body := `{"specversion":"1.0","id":"forged","source":"/systems/market-registry","type":"t","data":{}}`
		r, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(body))
		must(t, err)
		r.Header.Set("Content-Type", "application/cloudevents+json")
		r.Header.Set("webhook-id", "s.1")
		r.Header.Set("webhook-timestamp", fmt.Sprint(time.Now().Unix()))
		if signature != "" {
			r.Header.Set("webhook-signature", signature)
		}
		got, err := http.DefaultClient.Do(r)
		must(t, err)
		_ = got.Body.Close()
		if got.StatusCode != http.StatusUnauthorized {
			t.Errorf("what is signed %q is answered %s", signature, got.Status)
		}
	}
}

// install brings what the lock file lists, and nothing else.
func (e *example) install() {
	e.t.Helper()
	npm := exec.Command("npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = e.dir
	if out, err := npm.CombinedOutput(); err != nil {
		skipUnlessCI(e.t, fmt.Sprintf("npm ci: %v\n%s", err, out))
	}
}

// build builds the program in the place of the one in docs/examples.
func (e *example) build() {
	e.t.Helper()
	original, err := filepath.Abs(filepath.Join("..", "docs", "examples", e.name, e.file))
	must(e.t, err)
	overlay := filepath.Join(e.dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: filepath.Join(e.dir, e.file)}})
	must(e.t, err)
	must(e.t, os.WriteFile(overlay, replace, 0o600))
	build(e.t, filepath.Join(e.dir, "agency"), "../docs/examples/go", "-overlay", overlay)
}

func (e *example) command(environment []string, step string) *exec.Cmd {
	cmd := exec.Command(e.line[0], append(e.line[1:len(e.line):len(e.line)], step)...)
	cmd.Dir, cmd.Env = e.dir, environment
	return cmd
}

// run runs a step to its end and returns what it said.
func (e *example) run(environment []string, step string) string {
	e.t.Helper()
	out, err := e.command(environment, step).CombinedOutput()
	if err != nil {
		e.t.Fatalf("%s: %v\n%s", step, err, out)
	}
	return string(out)
}

// running is a step that goes on until it is stopped.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}
	out   output
}

type output struct {
	mu   sync.Mutex
	text bytes.Buffer // not embedded: who copies into it must not find a way past mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (e *example) start(environment []string, step string) *running {
	e.t.Helper()
	r := &running{t: e.t, cmd: e.command(environment, step), ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with all that it starts
	r.cmd.WaitDelay = 10 * time.Second
	must(e.t, r.cmd.Start())
	go func() {
		_ = r.cmd.Wait() // it is ended by a signal
		close(r.ended)
	}()
	e.t.Cleanup(r.stop)
	return r
}

// early is an error where it has ended by itself.
func (r *running) early() error {
	select {
	case <-r.ended:
		r.t.Fatalf("it ended:\n%s", r.said())
	default:
	}
	return nil
}

// said is what it printed, and what it wrote to a file in place of that.
func (r *running) said() string {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	file, _ := os.ReadFile(filepath.Join(r.cmd.Dir, "events.jsonl"))
	return r.out.text.String() + string(file)
}

func (r *running) stop() {
	select {
	case <-r.ended:
		return
	default:
	}
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		r.t.Error(err)
	}
	<-r.ended
}

// The curl examples of docs/api.md about exchanging are those of the script, line by
// line.
func TestTheCurlExamplesOfTheGuideAreTheScripts(t *testing.T) {
	guide, err := os.ReadFile("../docs/api.md")
	must(t, err)
	script, err := os.ReadFile("../docs/examples/curl/agency.sh")
	must(t, err)
	there := flush(string(script))
	found := 0
	for _, section := range strings.Split(string(guide), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		if title != "Subscribe and pull" && title != "Publish" && title != "Query" {
			continue
		}
		for _, block := range strings.Split(section, "```sh\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			for _, paragraph := range strings.Split(block, "\n\n") {
				if !strings.Contains(paragraph, "curl ") {
					continue
				}
				found++
				for _, line := range strings.Split(strings.TrimSpace(paragraph), "\n") {
					if !strings.Contains(there, flush(line)) {
						t.Errorf("%s: the script has no line %s", title, line)
					}
				}
			}
		}
	}
	if found < 7 {
		t.Errorf("%d examples are found, want at least seven: is the guide made otherwise?", found)
	}
}

// flush takes the indentation off a text.
func flush(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

// What an example brings along is known by its digest, and fetched from wherever its
// reader fetches packages.
func TestTheLockFileIsPinnedByDigest(t *testing.T) {
	lock, err := os.ReadFile("../docs/examples/node/package-lock.json")
	must(t, err)
	if n, m := bytes.Count(lock, []byte(`"node_modules/`)), bytes.Count(lock, []byte(`"integrity": "sha512-`)); n == 0 || n != m {
		t.Errorf("%d packages, %d digests", n, m)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) {
		t.Error("it names hosts: npm install --package-lock-only --omit-lockfile-registry-resolved")
	}
}
