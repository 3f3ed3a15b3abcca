package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding/store"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/search"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// Cluster is what the API asks of the bus as a whole.
type Cluster interface {
	ID() string
	Status(ctx context.Context, withHash bool) (client.Status, error)
	Join(ctx context.Context, request client.JoinRequest) (client.JoinAnswer, error)
	Fingerprint() identity.Fingerprint // of the cluster's root certificate
	Trace(ctx context.Context, by bus.Principal, request string, q client.TraceQuery, page string) (client.Trace, error)
	Exchanges(ctx context.Context, by bus.Principal, request string, q client.ExchangeQuery, page string) (client.ExchangePage, error)
	Prove(ctx context.Context, by bus.Principal, request, event string) (client.ProofFile, error)
	Watermark(ctx context.Context, by bus.Principal, request, mark string) (client.Trace, error)
	Repair
	Archive
	CatchUp(ctx context.Context) // brings the local replica to where the leader is, if it can be asked
}

// Config joins the API to the packages that do the work.
type Config struct {
	Version   string
	Self      bus.NodeID
	Directory *directory.Directory
	Exchange  *exchange.Exchange
	Bindings  *store.Store
	Reminders Reminders
	Policy    *policy.Engine
	Search    *search.Index
	Cluster   Cluster
	Members   Members
	Authority Authority
	Surveyor  Surveyor
	Evaluator Evaluator
	SignIn    SignIn
	Ready     func() error // nil once the node can serve

	// Deliveries tells how far an event of a caller's has come.
	Deliveries func(ctx context.Context, by bus.Principal, event, source string) ([]client.Deliveries, error)

	Now    func() time.Time
	Logger *slog.Logger
	Wait   time.Duration // for a request's body

	Layers Layers
}

// Layers tells how Policy stands to the layers of the directory as of an index.
type Layers interface {
	Decide(layers bus.Revision) bool               // decisions may rest on those at hand
	Wait(ctx context.Context, layers bus.Revision) // until they are those, for a short while
}

// API serves /api/v1.
type API struct {
	Config
	sessions  *sessions
	requests  pace
	events    pace
	decoy     string // hash that no password matches, so that unknown accounts take as long
	followed  map[state.Table]followed
	streams   *streams
	replaying chan struct{} // holds one while a policy draft is replayed
	handler   http.Handler
}

const (
	bodyCap      = 1 << 20 // bytes of a request body, publications excepted
	decoyTimeout = 30 * time.Second
	detailCap    = 512 // bytes of a leaf's detail
)

// New makes the API.
func New(c Config) (*API, error) {
	a := &API{
		Config: c, sessions: newSessions(c.Now),
		requests: newPace(c.Now, c.SignIn.Rate, false), events: newPace(c.Now, c.SignIn.EventRate, true),
		followed: map[state.Table]followed{}, streams: newStreams(), replaying: make(chan struct{}, 1),
	}
	ctx, cancel := context.WithTimeout(context.Background(), decoyTimeout)
	defer cancel()
	var err error
	if a.decoy, err = a.SignIn.Passwords.Hash(ctx, string(identity.NewOneTimePassword())); err != nil {
		return nil, fmt.Errorf("prepare sign-in: %w", err)
	}
	mux := http.NewServeMux()
	h := humago.New(mux, a.description())
	a.addCluster(h, mux)
	a.addSignIn(h)
	a.addMembers(h)
	a.addAuthority(h)
	a.addNouns(h)
	a.addSearch(h)
	a.addDrafts(h)
	a.addCatalogue(h)
	a.addPolicies(h)
	a.addDecisions(h)
	a.addReplay(h)
	a.addEvents(h)
	a.addBindings(h)
	a.addQuery(h, mux)
	a.addExchanges(h)
	a.addMoves(h)
	a.addAudit(h)
	a.addRepair(h)
	a.addCasework(h)
	a.addEvaluation(h)
	a.addChanges(h) // after the nouns
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.writeProblem(w, r, bus.E(bus.CodeNotFound, bus.Defect{Field: "path", Problem: bus.Text{ZH: "接口不存在", EN: "no such endpoint"}, Allowed: "see /openapi.json"}))
	})
	a.handler = a.identified(a.plain(mux))
	return a, nil
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

func (a *API) description() huma.Config {
	c := huma.DefaultConfig("gxbus", a.Version)
	c.Info.Description = "A node of the government data sharing and exchange bus: its directory, policies, exchange and evidence."
	c.DocsPath = "" // the console's business; no script from elsewhere
	c.SchemasPath = ""
	c.CreateHooks = nil // no $schema links in answers
	c.Transformers = []huma.Transformer{a.unified}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer":    {Type: "http", Scheme: "bearer", Description: "session token of an account, or credential of a system"},
		"signature": {Type: "http", Scheme: identity.SignatureScheme, Description: "a system's HMAC over method, target, time, nonce and body digest; see docs/api.md"},
		"mutualTLS": {Type: "mutualTLS", Description: "a system's client certificate"},
	}
	return c
}

// EndStreams ends the answers that would go on for ever, and lets no new one
// begin: the node is about to stop.
func (a *API) EndStreams() { a.streams.end() }

// handle registers a handler that needs a principal. Of a read the caller can say
// how fresh it must be.
func handle[I, O any](a *API, h huma.API, op huma.Operation, do func(context.Context, bus.Principal, *I) (*O, error)) {
	op.Security = []map[string][]string{{"bearer": {}}, {"signature": {}}, {"mutualTLS": {}}}
	if op.Method == http.MethodGet {
		op.Middlewares = append(huma.Middlewares{a.freshOnly}, op.Middlewares...)
		op.Parameters = append(op.Parameters, freshness...)
	}
	op.Middlewares = append(huma.Middlewares{a.identifiedOnly}, op.Middlewares...)
	public(a, h, op, func(ctx context.Context, in *I) (*O, error) {
		p, err := principalOf(ctx)
		if err != nil {
			return nil, err
		}
		return do(ctx, p, in)
	})
}

// public registers a handler that anybody may call.
func public[I, O any](a *API, h huma.API, op huma.Operation, do func(context.Context, *I) (*O, error)) {
	op.BodyReadTimeout = a.Wait
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = bodyCap
	}
	op.MaxBodyBytes++ // huma refuses a body of this size
	op.Middlewares = append(huma.Middlewares{correcting}, op.Middlewares...)
	op.Errors = []int{400, 401, 403, 404, 409, 412, 413, 415, 429, 500, 503, 507}
	huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
		before, err := a.now()
		if err != nil {
			return nil, a.refusal(ctx, err)
		}
		out, err := do(ctx, in)
		if err == nil {
			err = a.tell(ctx, op.Method, before)
		}
		if err != nil {
			return nil, a.refusal(ctx, err)
		}
		return out, nil
	})
}

// now is the stamp of an answer that is made from the replica as it is.
func (a *API) now() (Stamp, error) { return a.read(func(*state.Tx) error { return nil }) }

// tell gives every answer an index and an age: one to a read those from before it,
// one to a write those that show it. What has a stamp of its own says more.
func (a *API) tell(ctx context.Context, method string, s Stamp) error {
	if method != http.MethodGet {
		var err error
		if s, err = a.now(); err != nil {
			return err
		}
	}
	h := callerOf(ctx).header
	h.Set(client.HeaderIndex, strconv.FormatUint(uint64(*s.Index), 10))
	h.Set(client.HeaderAge, strconv.FormatInt(*s.Age, 10))
	return nil
}

// Sent is a request body that is read strictly: see package strictjson. (A field
// called Body would be read by huma, and leniently.)
type Sent[T any] struct {
	RawBody []byte
}

func (b Sent[T]) decode() (v T, err error) {
	return v, strictjson.Decode(b.RawBody, strictjson.Limits{}, &v)
}

// describes gives an operation a JSON body and its schema.
func describes[T any](a *API, h huma.API, op huma.Operation) huma.Operation {
	var v T
	schema := huma.SchemaFromType(h.OpenAPI().Components.Schemas, typeOf(v))
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{jsonType: {Schema: schema}}}
	op.SkipValidateBody = true
	op.Middlewares = append(op.Middlewares, a.jsonOnly)
	return op
}

// Expected is the revision that a write names in If-Match, or 0 with
// If-None-Match: *.
type Expected struct {
	IfMatch     string `header:"If-Match" doc:"revision that is changed, quoted"`
	IfNoneMatch string `header:"If-None-Match" doc:"* to create"`
}

func (e Expected) revision() (bus.Revision, error) {
	if e.IfNoneMatch == "*" && e.IfMatch == "" {
		return 0, nil
	}
	text, err := strconv.Unquote(e.IfMatch)
	n, parseErr := strconv.ParseUint(text, 10, 64)
	if err != nil || parseErr != nil || n == 0 || e.IfNoneMatch != "" {
		return 0, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "If-Match", Problem: bus.Text{ZH: "写入须声明所依据的修订号", EN: "a write names the revision it expects"},
			Allowed: `If-Match: "<revision>" to change, If-None-Match: * to create`,
		})
	}
	return bus.Revision(n), nil
}

// Stamp is the header of an answer: the index it was read at, how old that may
// be, and the revision of what it shows. What is not set is told by tell.
type Stamp struct {
	Index *bus.Revision `header:"Gxbus-Index" doc:"directory index that the answer shows"`
	Age   *int64        `header:"Gxbus-Age" doc:"seconds that the replica may be behind"`
	ETag  string        `header:"ETag"`
}

func etag(r bus.Revision) string { return `"` + strconv.FormatUint(uint64(r), 10) + `"` }

// answer is a body with its stamp.
type answer[T any] struct {
	Stamp
	Body T
}

// list is the body of every list.
type list[T any] struct {
	Items []T `json:"items"`
}

// read reads the directory and stamps what was read.
func (a *API) read(fn func(tx *state.Tx) error) (Stamp, error) {
	var index bus.Revision
	err := a.Directory.View(func(tx *state.Tx) error {
		index = tx.Index()
		return fn(tx)
	})
	if err != nil {
		return Stamp{}, err
	}
	age, err := a.Directory.Age()
	seconds := int64(age.Seconds())
	return Stamp{Index: &index, Age: &seconds}, err
}

// write puts a change through the directory's log and records it in this node's
// evidence.
func (a *API) write(ctx context.Context, by bus.Principal, t command.Type, expect bus.Revision, value any, detail string) (state.Result, error) {
	result, err := a.put(ctx, by, t, expect, value)
	if err != nil {
		return result, err
	}
	return result, a.administered(ctx, by, t, detail)
}

// put puts a change through the directory's log; what became of it is for the
// caller to record.
func (a *API) put(ctx context.Context, by bus.Principal, t command.Type, expect bus.Revision, value any) (state.Result, error) {
	entry, err := command.New(t, by, requestOf(ctx), expect, value)
	if err != nil {
		return state.Result{}, err
	}
	return a.Directory.Write(ctx, entry)
}

func (a *API) administered(ctx context.Context, by bus.Principal, t command.Type, detail string) error {
	return a.record(ctx, by, audit.KindAdministered, "", string(t)+" "+detail)
}

// record writes one line of evidence about an administrative act or a refusal.
func (a *API) record(ctx context.Context, by bus.Principal, kind audit.Kind, code bus.Code, detail string) error {
	if len(detail) > detailCap {
		detail = strings.ToValidUTF8(detail[:detailCap], "") + "…" // an endless path must not make a leaf that is refused
	}
	return a.Exchange.Record(ctx, audit.Record{Kind: kind, Principal: by, Request: requestOf(ctx), Code: code, Detail: detail})
}

// only refuses a principal without the role.
func only(role bus.Role, by bus.Principal) error {
	if by.Role == role {
		return nil
	}
	return bus.E(bus.CodeForbidden)
}
