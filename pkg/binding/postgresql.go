package binding

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// PostgreSQL is a statement in a database of the provider. It runs in a read-only
// transaction; what a caller gives is bound to its parameters, and never part of it.
type PostgreSQL struct {
	DSN        string      `json:"dsn"`       // postgres://user:password@host/database
	Statement  string      `json:"statement"` // one query; @name is a parameter
	Parameters []Parameter `json:"parameters,omitempty"`
	Conns      int         `json:"connections,omitempty"` // at once; DefaultConns where 0
}

// Parameter is a value that a caller gives.
type Parameter struct {
	Name     string `json:"name"`
	Optional bool   `json:"optional,omitempty"` // null where it is left out
}

// How many connections a binding keeps to its database, where it does not say, and
// the most that it can say.
const (
	DefaultConns = 8
	MaxConns     = 64
)

var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

func (p PostgreSQL) check() []bus.Defect {
	var defects []bus.Defect
	wrong := func(field, zh, en, allowed string) {
		defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	if p.DSN == "" {
		wrong("postgresql.dsn", "必填", "required", "postgres://user:password@host:5432/database")
	}
	if p.Conns < 0 || p.Conns > MaxConns {
		wrong("postgresql.connections", "超出范围", "out of range", fmt.Sprintf("1–%d", MaxConns))
	}
	for i, parameter := range p.Parameters {
		twice := slices.ContainsFunc(p.Parameters[:i], func(other Parameter) bool { return other.Name == parameter.Name })
		if twice || !parameterName.MatchString(parameter.Name) {
			wrong(fmt.Sprintf("postgresql.parameters[%d].name", i), "名称不可用或重复", "no name, or listed twice", parameterName.String())
		}
	}
	if strings.TrimSpace(p.Statement) == "" {
		wrong("postgresql.statement", "必填", "required", "SELECT …")
	}
	return defects
}
