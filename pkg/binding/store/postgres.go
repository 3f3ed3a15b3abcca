package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
)

// database is a service in a database.
type database struct {
	to    binding.Binding
	pool  *pgxpool.Pool
	query string
}

func openPostgreSQL(b binding.Binding, guard Guard) (*database, error) {
	defect := func(field, zh, en, allowed string) error { // without the cause: it repeats the address
		return bus.E(bus.CodeInvalid, bus.Defect{Field: "postgresql." + field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	config, err := pgxpool.ParseConfig(b.PostgreSQL.DSN)
	if err != nil {
		return nil, defect("dsn", "不是数据库连接串", "not how to reach a database", "postgres://user:password@host:5432/database")
	}
	listed := pgx.StrictNamedArgs{}
	for _, p := range b.PostgreSQL.Parameters {
		listed[p.Name] = nil
	}
	if _, _, err := listed.RewriteQuery(context.Background(), nil, b.PostgreSQL.Statement, nil); err != nil {
		return nil, defect("statement", "语句中的参数与声明不一致", "its parameters are not those that are listed", "each @name listed, each listed name in the statement")
	}
	config.MaxConns, config.MinConns, config.MaxConnIdleTime = binding.DefaultConns, 0, idleTimeout
	if n := b.PostgreSQL.Conns; n > 0 {
		config.MaxConns = int32(n)
	}
	connection := config.ConnConfig
	connection.DialFunc, connection.ConnectTimeout = guard.dial, dialTimeout
	connection.RuntimeParams["statement_timeout"] = strconv.Itoa(b.Timeout)
	connection.RuntimeParams["application_name"] = "gxbus"
	connection.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler { // giving up reaches the server
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: time.Second}
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, bus.E(bus.CodeInvalid)
	}
	statement := strings.TrimRight(strings.TrimSpace(b.PostgreSQL.Statement), ";")
	return &database{to: b, pool: pool, query: fmt.Sprintf("SELECT row_to_json(answer)::text FROM (\n%s\n) AS answer LIMIT %d", statement, b.MaxRows+1)}, nil
}

func (d *database) close() { d.pool.Close() }

func (d *database) call(ctx context.Context, c binding.Call) (*binding.Answer, error) {
	if c.Method != "" {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "path", Problem: bus.Text{ZH: "该资源挂接的是数据库，不支持透明调用", EN: "the resource is bound to a database, which has no transparent form"}, Allowed: "a query by parameters",
		})
	}
	args, err := d.arguments(c)
	if err != nil {
		return nil, err
	}
	body, err := d.ask(ctx, args)
	if err != nil && pgconn.SafeToRetry(err) { // a connection from before the server was restarted
		body, err = d.ask(ctx, args)
	}
	if err != nil {
		return nil, failed(ctx, err)
	}
	return &binding.Answer{
		Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body,
		MaxRows: d.to.MaxRows, MaxBytes: d.to.MaxBytes,
	}, nil
}

// arguments are the values of a call by the names that the binding lists, as text: the
// database reads each as what its place in the statement wants.
func (d *database) arguments(c binding.Call) (pgx.NamedArgs, error) {
	given, err := c.Values()
	if err != nil {
		return nil, err
	}
	args := pgx.NamedArgs{}
	for _, p := range d.to.PostgreSQL.Parameters {
		value, ok := given[p.Name]
		if !ok && !p.Optional {
			return nil, binding.BadParameter(p.Name, "required")
		}
		if args[p.Name] = nil; value != nil {
			args[p.Name] = textOf(value)
		}
	}
	for name := range given {
		if !slices.ContainsFunc(d.to.PostgreSQL.Parameters, func(p binding.Parameter) bool { return p.Name == name }) {
			return nil, binding.BadParameter(name, "one that the resource has")
		}
	}
	return args, nil
}

// ask runs the statement, and returns once its first row is there, or none is.
func (d *database) ask(ctx context.Context, args pgx.NamedArgs) (*rowsBody, error) {
	ctx, cancel := context.WithCancel(ctx)
	tx, err := d.pool.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		cancel()
		return nil, err
	}
	body := &rowsBody{ctx: ctx, cancel: cancel, tx: tx}
	if body.rows, err = tx.Query(ctx, d.query, args); err == nil {
		body.more = body.rows.Next()
		err = body.rows.Err()
	}
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return body, nil
}

// failed is the error of a statement, without the words of the database: those may
// repeat what is in it.
func failed(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case e.Code == "57014":
			return bus.E(bus.CodeLate)
		case strings.HasPrefix(e.Code, "22"):
			return bus.E(bus.CodeInvalid, bus.Defect{Field: "parameters", Problem: bus.Text{ZH: "参数值不符合其类型", EN: "a value is not of its parameter's type"}, Allowed: "see the resource's items"})
		}
		return binding.Unreachable(errors.New("the database answered " + e.Code))
	}
	return binding.Unreachable(errors.New("the database cannot be reached"))
}

// rowsBody reads the rows of a statement as a JSON array. Each row is one column, its
// JSON text.
type rowsBody struct {
	ctx    context.Context
	cancel context.CancelFunc
	tx     pgx.Tx
	rows   pgx.Rows
	more   bool // there is a row that was not taken yet
	buffer []byte
	begun  bool
	ended  bool
}

func (b *rowsBody) Read(p []byte) (int, error) {
	for len(b.buffer) == 0 {
		if b.ended {
			return 0, io.EOF
		}
		if err := b.step(); err != nil {
			return 0, failed(b.ctx, err)
		}
	}
	n := copy(p, b.buffer)
	b.buffer = b.buffer[n:]
	return n, nil
}

// step takes the next row.
func (b *rowsBody) step() error {
	switch {
	case !b.more && b.rows.Err() != nil:
		return b.rows.Err()
	case !b.more:
		if b.ended = true; !b.begun {
			b.buffer = append(b.buffer, '[')
		}
		b.buffer = append(b.buffer, ']')
		return nil
	}
	separator := byte(',')
	if !b.begun {
		b.begun, separator = true, '['
	}
	b.buffer = append(append(b.buffer[:0:cap(b.buffer)], separator), b.rows.RawValues()[0]...)
	b.more = b.rows.Next()
	return nil
}

// Close ends the statement, at the server too, and gives its connection back.
func (b *rowsBody) Close() error {
	if !b.ended {
		b.cancel() // what is left is not read
	}
	if b.rows != nil {
		b.rows.Close()
	}
	ending, stop := context.WithTimeout(context.WithoutCancel(b.ctx), dialTimeout)
	defer stop()
	_ = b.tx.Rollback(ending) // on a connection that is gone there is nothing to undo
	b.cancel()
	return nil
}

func (d *database) probe(ctx context.Context) error {
	connection, err := d.pool.Acquire(ctx)
	if err != nil {
		return failed(ctx, err)
	}
	defer connection.Release()
	null := pgx.NamedArgs{}
	text, _, err := null.RewriteQuery(ctx, nil, d.query, nil)
	if err == nil {
		_, err = connection.Conn().Prepare(ctx, text, text) // the statement still fits the tables
	}
	if err != nil {
		return failed(ctx, err)
	}
	return nil
}
